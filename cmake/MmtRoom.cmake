# mmt_room(<name> DEPENDS <rooms...> PRIVATE_LINKS <targets...>)
#
# One static library per folder of src/: all its *.cpp, the public headers of include/, and its own folder for
# private headers. Third-party libraries are linked privately, so that they cannot leak into another room.
function(mmt_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;PRIVATE_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  if(NOT sources)
    add_library(mmt_${name} INTERFACE)
    target_include_directories(mmt_${name} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
    foreach(dep ${ROOM_DEPENDS})
      target_link_libraries(mmt_${name} INTERFACE mmt_${dep})
    endforeach()
    return()
  endif()
  add_library(mmt_${name} STATIC ${sources})
  add_library(mmt::${name} ALIAS mmt_${name})
  set_target_properties(mmt_${name} PROPERTIES EXPORT_NAME ${name} CXX_VISIBILITY_PRESET hidden)
  target_include_directories(mmt_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(mmt_${name} PRIVATE -Wall -Wextra -Wpedantic)
  foreach(dep ${ROOM_DEPENDS})
    target_link_libraries(mmt_${name} PUBLIC mmt_${dep})
  endforeach()
  foreach(link ${ROOM_PRIVATE_LINKS})
    target_link_libraries(mmt_${name} PRIVATE $<BUILD_INTERFACE:${link}>)
  endforeach()
endfunction()
