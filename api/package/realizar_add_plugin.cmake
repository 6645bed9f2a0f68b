# realizar_add_plugin(NAME SOURCES file...): MODULE library NAME.so that exports the entry and nothing
# else, as the loader demands.
set(REALIZAR_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/plugin_exports.map)

function(realizar_add_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  add_library(${name} MODULE ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${REALIZAR_PLUGIN_EXPORTS})
  target_link_libraries(${name} PRIVATE realizar::backend)
  target_link_options(${name} PRIVATE LINKER:--version-script=${REALIZAR_PLUGIN_EXPORTS}
                      LINKER:-z,now)
endfunction()
