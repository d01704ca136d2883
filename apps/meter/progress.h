// The progress line on a terminal.
#pragma once

#include <cstdio>
#include <string>

#include "mmt/meter.h"

namespace mmt::app {

class ProgressLine {
 public:
  /// Draws on stderr, and only where that is a terminal and `wanted` is set.
  explicit ProgressLine(bool wanted);
  void show(const MeterProgress& state);
  /// Makes room for other output.
  void clear();

 private:
  bool active_;
  bool drawn_ = false;
};

/// "12/300  noise 0.8 %  engine 91 %  0:32 left  torch.nn.Conv2d…", at most `width` characters.
std::string progress_text(const MeterProgress& state, std::size_t width);

/// "0:32", "12:05", "1:02:03"
std::string clock_text(double seconds);

}  // namespace mmt::app
