#include "mmt/space.h"
#include "space/node.h"

namespace mmt {

Enumerator::Enumerator(const Space& space) : space_(&space), count_(space.count()) {
  if (!space.entries.empty()) digits_.assign(space.entries.front().parameters.size(), 0);
}

bool Enumerator::next(OperatorSpec& spec) {
  if (entry_ >= space_->entries.size()) return false;
  const SpaceEntry& entry = space_->entries[entry_];
  write(entry, spec);
  ++index_;
  if (!advance(entry)) {
    ++entry_;
    pair_ = 0;
    if (entry_ < space_->entries.size()) digits_.assign(space_->entries[entry_].parameters.size(), 0);
  }
  return true;
}

/// Steps to the next combination of the entry; false where there is none.
bool Enumerator::advance(const SpaceEntry& entry) {
  for (std::size_t i = digits_.size(); i-- > 1;) {
    if (++digits_[i] < entry.parameters[i].values_json.size()) return true;
    digits_[i] = 0;
  }
  ++pair_;
  if (!digits_.empty()) digits_[0] = pair_;
  return pair_ < (entry.captured.empty() ? entry.input_shapes.size() : entry.captured.size());
}

void Enumerator::write(const SpaceEntry& entry, OperatorSpec& spec) const {
  spec.entry = entry_;
  spec.index = index_;
  spec.module = entry.module;
  spec.class_name = entry.class_name;
  spec.place = entry.class_place;
  spec.parameters_json.assign(1, '{');
  for (std::size_t i = 0; i < entry.parameters.size(); ++i) {
    const SpaceParameter& parameter = entry.parameters[i];
    if (i > 0) spec.parameters_json += ',';
    spec.parameters_json += '"';
    spec.parameters_json += parameter.name;  // An identifier: nothing to escape.
    spec.parameters_json += "\":";
    spec.parameters_json += parameter.values_json[digits_[i]];
  }
  spec.parameters_json += '}';
  if (!entry.captured.empty()) {
    spec.captured_id = entry.captured[pair_];
    spec.input_shapes.clear();
    spec.input_dtypes.clear();
    spec.input_ranges.clear();
    spec.occurs = 0;
    return;
  }
  spec.captured_id.clear();
  spec.input_shapes = entry.input_shapes[pair_];
  const std::size_t inputs = spec.input_shapes.size();
  if (entry.input_dtypes.size() > 1) {
    spec.input_dtypes = entry.input_dtypes;
  } else {
    spec.input_dtypes.assign(inputs, entry.input_dtypes.empty() ? "float32" : entry.input_dtypes.front());
  }
  if (entry.input_ranges.size() == 1) {
    spec.input_ranges.assign(inputs, entry.input_ranges.front());
  } else {
    spec.input_ranges = entry.input_ranges;
  }
  spec.occurs = entry.occurs.empty() ? 0 : entry.occurs[entry.occurs.size() > 1 ? pair_ : 0];
}

}  // namespace mmt
