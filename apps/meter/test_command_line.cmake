# The command line of mmt-meter: exit codes and messages that need no engine.
cmake_minimum_required(VERSION 3.22)

function(expect code pattern)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=MMT_ENGINE_PLUGIN ${EMULATOR} "${PROGRAM}" ${ARGN}
                  RESULT_VARIABLE got OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT got STREQUAL "${code}" OR NOT output MATCHES "${pattern}")
    message(FATAL_ERROR "mmt-meter ${ARGN}: exit code ${got} (expected ${code}), output (expected '${pattern}'):\n${output}")
  endif()
endfunction()

expect(0 "--budget" --help)
expect(0 "^mmt-meter [0-9]+\\.[0-9]+" --version)
expect(2 "give one of: an operator folder" )
expect(2 "give one of" ops --describe)
expect(2 "--no-such-option" ops --no-such-option)
expect(2 "'soon' is no duration" ops --budget soon)
expect(2 "--threads must be at least 1" ops --threads 0)
expect(2 "--plugin /nowhere/engine.so: there is no such file" ops --plugin /nowhere/engine.so)
expect(2 "4095" ops --cpus 4095)
expect(0 "\"cpus_online\": [0-9]+" --describe --json --plugin /nowhere/engine.so)
expect(0 "engine +--plugin /nowhere/engine.so" --describe --plugin /nowhere/engine.so)
