// This test program started again as a worker's child, with a fake engine that can really crash and hang.
#pragma once

#include <string>
#include <vector>

namespace mmt::testing {

/// Path of the running program.
std::string own_program();

/// Command of a child in one of these modes: "good", "refuse" (its engine cannot be made), "silent" (never answers).
/// Models of its engine: "good", "failing" (its runs throw kEngine), "abort", "exit", "hang" (opening does that),
/// "chatter" (prints a lot), "echo" (computes what it is given).
std::vector<std::string> worker_command(const std::string& mode);

}  // namespace mmt::testing
