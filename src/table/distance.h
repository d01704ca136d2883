// How alike two operators of one class are, for telling a user what the table does hold.
#pragma once

#include <string>
#include <vector>

namespace mmt::table {

/// 0 for equal descriptions. Each parameter adds at most 1: numbers by the ratio of their sizes, lists element by
/// element, anything else by being equal or not. Shapes add the same per dimension, different ranks 2 per input.
/// Text that is no JSON object is compared as a whole.
double description_distance(const std::string& parameters_a, const std::vector<std::vector<int>>& shapes_a,
                            const std::string& parameters_b, const std::vector<std::vector<int>>& shapes_b);

}  // namespace mmt::table
