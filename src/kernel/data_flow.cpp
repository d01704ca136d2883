#include "kernel/data_flow.h"

#include <unordered_map>
#include <unordered_set>

namespace mmt {
namespace {

class DataFlow {
 public:
  explicit DataFlow(const SessionDesc& session) : session_(session) {
    for (const TensorDesc& input : session.inputs) {
      number_of(input.id);
      made_.push_back(&input);
    }
    for (const TensorDesc& output : session.outputs) number_of(output.id);
    for (const KernelDesc& kernel : session.kernels) {
      for (const TensorDesc& input : kernel.inputs) read_.insert(input.id);
    }
  }

  std::vector<std::string> texts() {
    std::vector<std::string> texts;
    texts.reserve(session_.kernels.size());
    for (const KernelDesc& kernel : session_.kernels) {
      std::string text;
      for (const TensorDesc& input : kernel.inputs) text += (text.empty() ? "" : ",") + read(input);
      text += ">";
      for (const TensorDesc& output : kernel.outputs) {
        text += (text.ends_with('>') ? "" : ",") + std::to_string(number_of(output.id));
        made_.push_back(&output);
      }
      texts.push_back(std::move(text));
    }
    return texts;
  }

 private:
  int number_of(std::int64_t id) { return numbers_.try_emplace(id, static_cast<int>(numbers_.size())).first->second; }

  std::string read(const TensorDesc& tensor) {
    if (tensor.constant) return "-1";
    const bool known = numbers_.contains(tensor.id);
    const TensorDesc* source = known ? nullptr : copied_from(tensor);
    if (!known && source == nullptr) return "-1";
    const std::string text = std::to_string(number_of(tensor.id));
    return source == nullptr ? text : text + "=" + std::to_string(number_of(source->id));
  }

  /// The engine copies a tensor where the next kernel belongs to another of its backends, and does not list that. What
  /// was copied is the latest tensor of that shape, preferably one that nobody else reads.
  const TensorDesc* copied_from(const TensorDesc& tensor) const {
    const TensorDesc* latest = nullptr;
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
      if ((*it)->shape != tensor.shape) continue;
      if (!read_.contains((*it)->id)) return *it;
      if (latest == nullptr) latest = *it;
    }
    return latest;
  }

  const SessionDesc& session_;
  std::unordered_map<std::int64_t, int> numbers_;
  std::unordered_set<std::int64_t> read_;
  std::vector<const TensorDesc*> made_;
};

}  // namespace

std::vector<std::string> data_flow(const SessionDesc& session) { return DataFlow(session).texts(); }

}  // namespace mmt
