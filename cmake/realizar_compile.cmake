# Language level, warnings, sanitizers and ccache for every target of the tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(REALIZAR_CCACHE ccache)
if(REALIZAR_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${REALIZAR_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${REALIZAR_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow)
if(REALIZAR_WERROR)
  add_compile_options(-Werror)
endif()
# GCC 12 sees overlapping copies in std::string operator+ where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# IEEE semantics, but nobody reads the floating-point environment or errno of math functions.
add_compile_options(-fno-math-errno -fno-trapping-math -ffp-contract=off)

set(REALIZAR_SANITIZER_KIND 0) # RZ_SANITIZER_* of backend.h
if(REALIZAR_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer -O1)
  add_link_options(-fsanitize=address,undefined)
  set(REALIZAR_SANITIZER_KIND 1)
elseif(REALIZAR_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -O1)
  add_link_options(-fsanitize=thread)
  set(REALIZAR_SANITIZER_KIND 2)
elseif(NOT REALIZAR_SANITIZER STREQUAL "")
  message(FATAL_ERROR "REALIZAR_SANITIZER: expected address, thread or empty, "
                      "found '${REALIZAR_SANITIZER}'")
endif()
add_compile_definitions(REALIZAR_SANITIZER_KIND=${REALIZAR_SANITIZER_KIND}u)
