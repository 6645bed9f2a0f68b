# The four kinds of targets. Sources are all files of the calling folder.

# realizar_core_library(NAME [LIBS ...]): static library rz_NAME from the folder's *.cpp.
function(realizar_core_library name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(rz_${name} STATIC ${sources})
    target_include_directories(rz_${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(rz_${name} PUBLIC realizar::backend ${ARG_LIBS})
  else()
    add_library(rz_${name} INTERFACE)
    target_include_directories(rz_${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(rz_${name} INTERFACE realizar::backend ${ARG_LIBS})
  endif()
endfunction()

# realizar_plugin(NAME [SOURCES ...] [LIBS ...] [NO_INSTALL]): plugins/NAME.so with one export.
function(realizar_plugin name)
  cmake_parse_arguments(ARG "NO_INSTALL" "DIRECTORY" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp
         ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  endif()
  if(NOT ARG_SOURCES)
    return()
  endif()
  if(NOT ARG_DIRECTORY)
    set(ARG_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
  endif()
  add_library(plugin_${name} MODULE ${ARG_SOURCES})
  set(script ${PROJECT_SOURCE_DIR}/cmake/plugin_exports.map)
  set_target_properties(plugin_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${ARG_DIRECTORY}
    LINK_DEPENDS ${script})
  target_link_libraries(plugin_${name} PRIVATE realizar::backend ${ARG_LIBS})
  target_link_options(plugin_${name} PRIVATE LINKER:--version-script=${script} LINKER:-z,now)
  if(NOT REALIZAR_SANITIZER)
    target_link_options(plugin_${name} PRIVATE LINKER:--no-undefined)
  endif()
  if(NOT ARG_NO_INSTALL)
    install(TARGETS plugin_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/realizar/plugins)
  endif()
endfunction()

# realizar_test(NAME LABEL LIBS ...): GoogleTest program from the folder's *.cpp, run by CTest.
# TIMEOUT is per test case, in seconds.
function(realizar_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "LIBS;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE
    REALIZAR_SOURCE_DIR="${PROJECT_SOURCE_DIR}" REALIZAR_BINARY_DIR="${CMAKE_BINARY_DIR}")
  gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES
    TEST_PREFIX "${name}/"
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABEL MATCHES "unit|conformance")
    set_property(GLOBAL APPEND PROPERTY REALIZAR_UNIT_TESTS test_${name})
  endif()
endfunction()
