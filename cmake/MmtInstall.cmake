# Installation of the CMake package `mmt` (find_package(mmt)).
