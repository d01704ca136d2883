# Installation of the C++ side: libraries, public headers and the CMake package `mmt` (find_package(mmt)).
# Component "development"; the wheel holds the component "python" instead.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY MMT_ROOMS)
get_property(links GLOBAL PROPERTY MMT_EXTERNAL_LINKS)
list(REMOVE_DUPLICATES links)

set(MMT_FIND_DEPENDENCIES "")
foreach(link ${links})
  if(link MATCHES "^Threads::")
    string(APPEND MMT_FIND_DEPENDENCIES "find_dependency(Threads)\n")
  elseif(link MATCHES "^SQLite3?::")
    string(APPEND MMT_FIND_DEPENDENCIES "find_dependency(SQLite3)\n")
  elseif(link MATCHES "yaml-cpp")
    string(APPEND MMT_FIND_DEPENDENCIES "find_dependency(yaml-cpp)\n")
  elseif(TARGET ${link})
    message(FATAL_ERROR "cmake/MmtInstall.cmake does not know how the installed package finds ${link}")
  endif()
endforeach()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mmt")
install(TARGETS ${rooms} EXPORT mmtTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(EXPORT mmtTargets NAMESPACE mmt:: DESTINATION "${package_dir}" COMPONENT development)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/mmt" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        COMPONENT development FILES_MATCHING PATTERN "*.h")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/mmtConfig.cmake.in" "${CMAKE_CURRENT_BINARY_DIR}/mmtConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/mmtConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/mmtConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/mmtConfigVersion.cmake"
        DESTINATION "${package_dir}" COMPONENT development)
