# Checks RZ_ABI_HASH in backend.h against the header's declarations:
#   cmake -DHEADER=.../backend.h -P abi_hash.cmake
# The hash is over the text without comments, white space and the hash's own line.
file(READ ${HEADER} text)
string(REGEX MATCH "#define RZ_ABI_HASH 0x([0-9a-f]+)ull" line "${text}")
set(found ${CMAKE_MATCH_1})
string(REPLACE "${line}" "" text "${text}")
string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" text "${text}")
string(REGEX REPLACE "[ \t\r\n\\]+" "" text "${text}")
string(SHA256 digest "${text}")
string(SUBSTRING ${digest} 0 16 expected)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "backend.h changed: RZ_ABI_HASH is 0x${found}ull, expected 0x${expected}ull. "
                      "If the change is meant, write the expected value into the header.")
endif()
