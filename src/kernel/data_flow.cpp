#include "kernel/data_flow.h"

#include <unordered_map>

namespace mmt {
namespace {

class DataFlow {
 public:
  explicit DataFlow(const SessionDesc& session) : session_(session) {
    for (const TensorDesc& input : session.inputs) number_of(input.id);
    for (const TensorDesc& output : session.outputs) number_of(output.id);
  }

  std::vector<std::string> texts() {
    std::vector<std::string> texts;
    texts.reserve(session_.kernels.size());
    for (const KernelDesc& kernel : session_.kernels) {
      std::string text;
      for (const TensorDesc& input : kernel.inputs) text += (text.empty() ? "" : ",") + read(input);
      text += ">";
      for (const TensorDesc& output : kernel.outputs)
        text += (text.ends_with('>') ? "" : ",") + std::to_string(number_of(output.id));
      texts.push_back(std::move(text));
    }
    return texts;
  }

 private:
  int number_of(std::int64_t id) { return numbers_.try_emplace(id, static_cast<int>(numbers_.size())).first->second; }

  std::string read(const TensorDesc& tensor) {
    return tensor.constant || !numbers_.contains(tensor.id) ? "-1" : std::to_string(number_of(tensor.id));
  }

  const SessionDesc& session_;
  std::unordered_map<std::int64_t, int> numbers_;
};

}  // namespace

std::vector<std::string> data_flow(const SessionDesc& session) { return DataFlow(session).texts(); }

}  // namespace mmt
