// Reading a `.mnn` file's graph, with every offset checked before it is followed.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace mmt::mnn {

struct OpNode {
  std::string name;
  int type = 0;             ///< OpType's number.
  int parameter_type = 0;   ///< Union number of the parameters, 0: none.
  std::vector<int> inputs;  ///< Tensor indices.
  std::vector<int> outputs;
  std::string attributes;           ///< "kernel_x=3,kernel_y=3,…", in the order of the fields, defaults left out.
  std::int64_t constant_bytes = 0;  ///< Weights and other constant data in the parameters.
};

struct Graph {
  std::vector<OpNode> ops;
  std::vector<std::string> tensor_names;
  std::vector<std::string> output_names;

  /// Index of the first operator with that name, -1: none.
  int find(const std::string& name) const;
  std::unordered_map<std::string, int> by_name;
};

/// Parses a `.mnn` image of `size` bytes. `where`: the file's name, for errors.
/// Throws Error(kCorrupt) where an offset leaves the image or an index leaves the graph: hostile files are safe to
/// read.
Graph parse_graph(const std::uint8_t* data, std::size_t size, const std::string& where);

/// Reads and parses a file. Throws Error(kIo, kCorrupt) naming it.
Graph read_graph(const std::string& path);

}  // namespace mmt::mnn
