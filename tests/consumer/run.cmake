# Installs the C++ side of BUILD under WORK, then configures, builds and runs the program in CONSUMER against it.
file(REMOVE_RECURSE "${WORK}")
set(step COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix" --component development ${step})
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK}/build" -G "${GENERATOR}"
                        "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}" "-DCMAKE_CXX_COMPILER=${CXX}"
                        "-DCMAKE_PREFIX_PATH=${WORK}/prefix" -DCMAKE_BUILD_TYPE=Release ${step})
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${WORK}/build" ${step})
execute_process(COMMAND "${WORK}/build/consumer" ${step})
