// What an engine's library was compiled with, as far as the library itself tells.
#include <string_view>

#include "mmt/engine.h"
#include "mmt/file.h"

namespace mmt {
namespace {

struct Marker {
  const char* name;
  std::string_view text;  ///< Part of the names of functions that only builds with this code have.
};

constexpr Marker kMarkers[] = {{"avx2", "AVX2Functions"},     {"avx512", "_AVX512_MNN"},
                               {"avx512_vnni", "Unit_VNNI"},  {"arm82", "Arm82MNNPackForMatMul_A"},
                               {"bf16", "BF16Functions"},     {"sme2", "MNNPackedMatMulRemainFP32_SME2"},
                               {"kleidiai", "kai_run_matmul"}};
/// Names of MNN that its libraries do not export: where they are missing the names were stripped.
constexpr std::string_view kInternal = "MNNGetCoreFunctions", kExported = "_ZN3MNN11Interpreter";

}  // namespace

std::vector<CodePath> code_paths(const std::string& library) {
  std::string bytes;
  if (!library.empty() && file_exists(library)) bytes = read_file(library);
  const auto holds = [&bytes](std::string_view text) { return bytes.find(text) != std::string::npos; };
  const bool named = holds(kExported) && holds(kInternal);
  std::vector<CodePath> paths;
  for (const Marker& marker : kMarkers) {
    paths.push_back({marker.name, !named ? "unknown" : holds(marker.text) ? "yes" : "no"});
  }
  return paths;
}

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names{"cpu", "opencl", "vulkan", "cuda", "metal", "opengl", "nn", "tensorrt"};
  return names;
}

}  // namespace mmt
