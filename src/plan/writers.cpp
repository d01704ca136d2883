#include "plan/writers.h"

#include <algorithm>
#include <utility>

namespace mmt {
namespace {

void add_once(std::vector<int>& writers, int writer) {
  if (writer >= 0 && std::find(writers.begin(), writers.end(), writer) == writers.end()) writers.push_back(writer);
}

}  // namespace

int TensorWriters::of(int tensor) const {
  const auto found = writers_.find(tensor);
  return found != writers_.end() ? found->second : -1;
}

std::vector<int> TensorWriters::add(const FlowNumbers& numbers, int kernel) {
  std::vector<int> writers;
  for (std::size_t i = 0; i < numbers.reads.size(); ++i) {
    const int writer = of(numbers.reads[i]);
    add_once(writers, writer >= 0 ? writer : of(numbers.copied_from[i]));
  }
  for (const int written : numbers.writes) set(written, kernel);
  return writers;
}

Writers::Writers(const ContextRow& context, std::vector<int> sources)
    : context_(context), sources_(std::move(sources)) {
  for (std::size_t port = 0; port < sources_.size(); ++port) tensors_.set(static_cast<int>(port), sources_[port]);
}

int Writers::source(int port) const {
  return port >= 0 && port < static_cast<int>(sources_.size()) ? sources_[static_cast<std::size_t>(port)] : -1;
}

std::vector<int> Writers::add(std::size_t k, int kernel) {
  std::vector<int> writers;
  if (k < context_.tensors.size() && !context_.tensors[k].empty()) {
    writers = tensors_.add(FlowNumbers::parse(context_.tensors[k]), kernel);
  } else if (last_ >= 0) {
    writers.push_back(last_);
  } else {
    for (const int writer : sources_) add_once(writers, writer);
  }
  last_ = kernel;
  return writers;
}

void Writers::pass_by(std::size_t k) {
  if (k >= context_.tensors.size()) return;
  const FlowNumbers numbers = FlowNumbers::parse(context_.tensors[k]);
  const int port = context_.ports[k];
  if (context_.roles[k] != KernelRole::kOutputConvert) {
    for (const int written : numbers.writes) tensors_.set(written, source(port));
  } else if (!numbers.reads.empty()) {
    outputs_[port] = tensors_.of(numbers.reads.front());
  }
}

int Writers::of_output(std::size_t port) const {
  if (const auto found = outputs_.find(static_cast<int>(port)); found != outputs_.end() && found->second >= 0)
    return found->second;
  const int writer = tensors_.of(static_cast<int>(port + context_.inputs.size()));
  if (writer >= 0) return writer;
  return last_ >= 0 ? last_ : source(0);
}

}  // namespace mmt
