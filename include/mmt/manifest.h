// The manifest of an operator folder: `ops/ops.json`. Format: docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mmt/engine.h"

namespace mmt {

/// One `.mnn` file of an operator.
///
/// An operator is converted in up to two contexts. "plain": its inputs are the model's inputs (NCHW), as if it were
/// run alone. "packed": every float input of rank 4 passes first through a stub, a 1×1 max pooling that the engine
/// runs in its packed layout (NC4HW4), so that the operator's kernels are the ones that it has inside a network.
struct OperatorModel {
  std::string context;  ///< "plain" or "packed"
  std::string file;     ///< Relative to the folder, for example "models/<fingerprint>.mnn".
  std::int64_t size_bytes = 0;
  std::string sha256;
};

struct OperatorInput {
  std::vector<int> shape;
  std::string dtype = "float32";
  double low = -1.0, high = 1.0;  ///< Range of the values written before every run; for integers [low, high).
  double shared = kUsualShared;   ///< InputSpec::shared
};

struct OperatorEntry {
  std::string fingerprint;      ///< 32 hexadecimal digits.
  std::string kind;             ///< "module" (a torch module), "function" (a glue operator), "model" (a whole model).
  std::string class_name;       ///< "torch.nn.Conv2d", "resnet18.ResNetBasicBlock", "add", …
  std::string parameters_json;  ///< Constructor parameters or function arguments, a JSON object.
  std::vector<OperatorInput> inputs;
  std::vector<std::vector<int>> output_shapes;
  std::vector<std::string> output_dtypes;
  std::int64_t parameter_count = 0;
  std::int64_t flops = -1;  ///< Floating-point operations of one run, a multiply-add counts as two; -1: not known.
  std::string exporter;     ///< "mmt" (own graph writer) or "torch" (PyTorch's exporter).
  std::string origin;       ///< "yaml", "register", "scan", …
  std::vector<OperatorModel> models;
  std::string error;  ///< Conversion failed for this reason; `models` is empty then.
};

struct Manifest {
  int format = 1;
  std::string mmt_version;
  std::string converter;  ///< "MNN 3.6.1"
  std::vector<OperatorEntry> operators;
};

/// Name of the manifest within a folder.
inline constexpr const char* kManifestName = "ops.json";

/// Reads `<folder>/ops.json`. Throws Error(kNotFound, kParse) naming the file and the place.
Manifest read_manifest(const std::string& folder);

/// Writes `<folder>/ops.json` so that a reader sees either the old or the new file (write, flush, rename).
void write_manifest(const std::string& folder, const Manifest& manifest);

/// The file's text, and back. `name` stands for the file in messages.
std::string manifest_text(const Manifest& manifest);
Manifest parse_manifest(const std::string& text, const std::string& name);

}  // namespace mmt
