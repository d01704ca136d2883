#include "mmt/engine.h"

namespace mmt {

const char* layout_name(Layout layout) noexcept {
  switch (layout) {
    case Layout::kNchw:
      return "nchw";
    case Layout::kNhwc:
      return "nhwc";
    case Layout::kNc4hw4:
      return "nc4hw4";
    case Layout::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace mmt
