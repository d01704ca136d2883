#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace mmt::app {

std::string clock_text(double seconds) {
  const long whole = std::lround(std::clamp(seconds, 0.0, 3.6e6));
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

std::string progress_text(const MeterProgress& state, std::size_t width) {
  char numbers[128];
  std::snprintf(numbers, sizeof numbers, "%d/%d  noise %.1f %%  engine %.0f %%  ", state.done, state.total,
                100 * state.noise, 100 * state.engine_share);
  std::string text = numbers;
  if (state.failed > 0) text += std::to_string(state.failed) + " failed  ";
  text += clock_text(state.left_s) + " left  " + state.current;
  if (text.size() > width) text.resize(width);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();  // Whole letters.
  return text;
}

ProgressLine::ProgressLine(bool wanted) : active_(wanted && isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(const MeterProgress& state) {
  if (!active_) return;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  std::fprintf(stderr, "\r\033[K%s", progress_text(state, known ? size.ws_col - 1u : 79u).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace mmt::app
