# Header-only libraries for a cross compiler.
#
# The headers of this machine serve any target, but their folder must not: beside nlohmann/ in /usr/include lie the
# headers of this machine's C library. So each library's own folder is linked into one that holds nothing else, and
# find_package() finds it there. Where a package's own CMake file is named (-Dnlohmann_json_DIR=…), that is used.
function(mmt_header_only package target header)
  if(DEFINED ${package}_DIR)
    return()
  endif()
  find_path(MMT_${package}_INCLUDE_DIR "${header}" PATHS /usr/include /usr/local/include
            NO_CMAKE_FIND_ROOT_PATH NO_CMAKE_SYSTEM_PATH)
  if(NOT MMT_${package}_INCLUDE_DIR)
    return()  # Whoever needs it says so.
  endif()
  get_filename_component(folder "${header}" DIRECTORY)
  set(place "${PROJECT_BINARY_DIR}/header_only/${package}")
  file(MAKE_DIRECTORY "${place}/include")
  file(CREATE_LINK "${MMT_${package}_INCLUDE_DIR}/${folder}" "${place}/include/${folder}" SYMBOLIC)
  file(WRITE "${place}/${package}Config.cmake"
       "if(NOT TARGET ${target})\n"
       "  add_library(${target} INTERFACE IMPORTED)\n"
       "  target_include_directories(${target} INTERFACE \"\${CMAKE_CURRENT_LIST_DIR}/include\")\n"
       "endif()\n")
  set(${package}_DIR "${place}" CACHE PATH "Folder of the package's CMake file")
endfunction()

if(CMAKE_CROSSCOMPILING)
  mmt_header_only(nlohmann_json nlohmann_json::nlohmann_json nlohmann/json.hpp)
  mmt_header_only(CLI11 CLI11::CLI11 CLI/CLI.hpp)
  mmt_header_only(Flatbuffers flatbuffers::flatbuffers flatbuffers/flatbuffers.h)
endif()
