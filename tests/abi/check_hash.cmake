# The check of RZ_ABI_HASH must fail when a declaration changes, and only then:
#   cmake -DHEADER=.../backend.h -DSCRIPT=.../abi_hash.cmake -DFOLDER=<scratch> -P check_hash.cmake
file(MAKE_DIRECTORY ${FOLDER})

# check(NAME pass|fail FROM TO): the header with FROM replaced by TO.
function(check name outcome from to)
  file(READ ${HEADER} text)
  string(REPLACE "${from}" "${to}" changed "${text}")
  if(name STREQUAL "unchanged")
    set(changed "${text}")
  elseif(changed STREQUAL text)
    message(FATAL_ERROR "${name}: expected '${from}' in ${HEADER}, found no such text")
  endif()
  file(WRITE ${FOLDER}/${name}.h "${changed}")
  execute_process(COMMAND ${CMAKE_COMMAND} -DHEADER=${FOLDER}/${name}.h -P ${SCRIPT}
                  RESULT_VARIABLE result ERROR_VARIABLE error)
  if(outcome STREQUAL "pass" AND NOT result EQUAL 0)
    message(FATAL_ERROR "${name}: expected the check to pass, found: ${error}")
  elseif(outcome STREQUAL "fail" AND NOT error MATCHES "RZ_ABI_HASH is 0x")
    message(FATAL_ERROR "${name}: expected the check to fail with the right hash, found '${error}'")
  endif()
endfunction()

check(unchanged pass "" "")
check(other_comment pass "2. Codes and errors." "2. Codes, errors.")
check(other_space pass "    int32_t native_code;" "\tint32_t native_code;")
check(other_type fail "int32_t native_code;" "int64_t native_code;")
check(other_name fail "native_code;" "driver_code;")
check(other_constant fail "#define RZ_TIMEOUT 5" "#define RZ_TIMEOUT 6")
check(other_hash fail "#define RZ_ABI_HASH 0x" "#define RZ_ABI_HASH 0x1")
