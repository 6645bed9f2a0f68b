# cmake -DFOLDER=kernels -DOUTPUT=sources.cpp -P embed.cmake: all kernel sources as arrays of bytes.
file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/*.cl ${FOLDER}/*.h)
list(SORT files)
set(arrays "")
set(rows "")
foreach(file ${files})
  string(MAKE_C_IDENTIFIER ${file} name)
  file(READ ${FOLDER}/${file} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)"
         "\\1\n" bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char k_${name}[] = {\n${bytes}};\n")
  string(APPEND rows "    {\"${file}\", k_${name}, sizeof(k_${name})},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by plugins/opencl/embed.cmake.
#include \"plugins/opencl/cl/programs.h\"

namespace realizar::opencl {

namespace {
${arrays}
constexpr Source kSources[] = {
${rows}};
} // namespace

std::span<const Source> all_sources() { return kSources; }

} // namespace realizar::opencl
")
