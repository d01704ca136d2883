// Pictures, as SVG that stands for itself and inside a page. Colours come from the page's variables where it has them.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "mmt/report.h"
#include "report/axis.h"
#include "report/text.h"

namespace mmt {
namespace {

using report::Axis;
using report::exact;
using report::html_escape;
using report::readable;

constexpr const char* kStyle =
    "<style>.t{font:12px system-ui,sans-serif;fill:var(--ink,#222)}.q{fill:var(--quiet,#767676)}"
    ".g{stroke:var(--line,#e3e3e3)}.a{stroke:var(--quiet,#767676);fill:none}.d{stroke-dasharray:5 4}"
    ".p{fill:var(--accent,#1f6feb);fill-opacity:.75}.e{stroke:var(--accent,#1f6feb);stroke-opacity:.35}"
    ".b{fill:var(--accent,#1f6feb);fill-opacity:.8}</style>";

std::string px(double value) { return exact(std::round(value * 10) / 10); }

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return "<line class=\"" + std::string(style) + "\" x1=\"" + px(x1) + "\" y1=\"" + px(y1) + "\" x2=\"" + px(x2) +
         "\" y2=\"" + px(y2) + "\"/>";
}

std::string text(double x, double y, const std::string& words, const char* anchor, const char* style = "t",
                 const std::string& more = "") {
  return "<text class=\"" + std::string(style) + "\" x=\"" + px(x) + "\" y=\"" + px(y) + "\" text-anchor=\"" + anchor +
         "\"" + more + ">" + html_escape(words) + "</text>";
}

std::string open_svg(double width, double height, const std::string& title) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 " + px(width) + " " + px(height) +
         "\" width=\"" + px(width) + "\" height=\"" + px(height) + "\"><title>" + html_escape(title) + "</title>" +
         kStyle;
}

/// Cut to `limit` characters (not bytes).
std::string shortened(const std::string& label, std::size_t limit) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < label.size(); ++i) {
    if ((static_cast<unsigned char>(label[i]) & 0xc0) == 0x80) continue;
    if (++characters > limit) return label.substr(0, i) + "…";
  }
  return label;
}

bool usable(const ScatterPoint& point) { return std::isfinite(point.truth) && std::isfinite(point.predicted); }

}  // namespace

std::string render_svg(const ScatterChart& chart) {
  constexpr double kWidth = 640, kHeight = 520, kLeft = 76, kRight = 600, kTop = 36, kBottom = 460;
  std::ostringstream svg;
  svg << open_svg(kWidth, kHeight, chart.title) << text(kLeft, 20, chart.title, "start");
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const ScatterPoint& point : chart.points) {
    if (!usable(point)) continue;
    low = std::min({low, point.truth, point.predicted});
    high = std::max({high, point.truth, point.predicted});
  }
  if (!(low <= high)) {
    svg << text((kLeft + kRight) / 2, (kTop + kBottom) / 2, "no points", "middle", "t q") << "</svg>";
    return svg.str();
  }
  const bool logarithmic = low > 0 && high > 20 * low;
  const double room = 0.06 * (high - low) + 1e-12;
  const double from = logarithmic ? low / 1.15 : std::max(low - room, low >= 0 ? 0.0 : low - room);
  const double to = logarithmic ? high * 1.15 : high + room;
  const Axis x(from, to, kLeft, kRight, logarithmic), y(from, to, kBottom, kTop, logarithmic);

  for (const double tick : x.ticks(6)) {
    svg << line(x.pixel(tick), kTop, x.pixel(tick), kBottom, "g")
        << line(kLeft, y.pixel(tick), kRight, y.pixel(tick), "g")
        << text(x.pixel(tick), kBottom + 18, readable(tick), "middle", "t q")
        << text(kLeft - 8, y.pixel(tick) + 4, readable(tick), "end", "t q");
  }
  // The diagonal and the band, from edge to edge of the square.
  const auto ray = [&](double factor, const char* style, const std::string& name) {
    const double x1 = std::max(x.low(), y.low() / factor), x2 = std::min(x.high(), y.high() / factor);
    if (x1 >= x2) return;
    svg << line(x.pixel(x1), y.pixel(x1 * factor), x.pixel(x2), y.pixel(x2 * factor), style);
    svg << text(x.pixel(x2) + 3,
                y.pixel(x2 * factor) + (factor > 1   ? -4
                                        : factor < 1 ? 12
                                                     : 4),
                name, factor > 1 ? "end" : "start", "t q");
  };
  const std::string percent = readable(100 * chart.band) + " %";
  ray(1, "a", "=");
  if (chart.band > 0 && chart.band < 1 && low >= 0) {
    ray(1 + chart.band, "a d", "+" + percent);
    ray(1 - chart.band, "a d", "−" + percent);
  }
  for (const ScatterPoint& point : chart.points) {
    if (!usable(point)) continue;
    const double px_x = x.pixel(point.truth), px_y = y.pixel(point.predicted);
    if (point.high > point.low && (!logarithmic || point.low > 0)) {
      svg << line(px_x, std::clamp(y.pixel(point.low), kTop, kBottom), px_x,
                  std::clamp(y.pixel(point.high), kTop, kBottom), "e");
    }
    const double error = point.truth != 0 ? 100 * (point.predicted / point.truth - 1) : 0;
    svg << "<circle class=\"p\" cx=\"" << px(px_x) << "\" cy=\"" << px(px_y) << "\" r=\"4\"><title>"
        << html_escape(point.label + ": true " + readable(point.truth) + ", predicted " + readable(point.predicted) +
                       " " + chart.unit + " (" + (error >= 0 ? "+" : "") + readable(error) + " %)")
        << "</title></circle>";
  }
  const std::string unit = chart.unit.empty() ? "" : " (" + chart.unit + ")";
  svg << text((kLeft + kRight) / 2, kHeight - 14, "true" + unit, "middle")
      << text(18, (kTop + kBottom) / 2, "predicted" + unit, "middle", "t",
              " transform=\"rotate(-90 18 " + px((kTop + kBottom) / 2) + ")\"")
      << "</svg>";
  return svg.str();
}

std::string render_svg(const BarChart& chart) {
  constexpr double kWidth = 760, kLeft = 290, kRight = 650, kTop = 32, kStep = 22;
  const double height = kTop + kStep * static_cast<double>(std::max<std::size_t>(chart.bars.size(), 1)) + 10;
  std::ostringstream svg;
  svg << open_svg(kWidth, height, chart.title) << text(8, 18, chart.title, "start");
  double high = 0, sum = 0;
  for (const Bar& bar : chart.bars) {
    if (!std::isfinite(bar.value) || bar.value < 0) continue;
    high = std::max(high, bar.value);
    sum += bar.value;
  }
  if (chart.bars.empty()) svg << text(kLeft, kTop + 15, "nothing to show", "start", "t q");
  const Axis x(0, high > 0 ? high : 1, kLeft, kRight, false);
  double top = kTop;
  for (const Bar& bar : chart.bars) {
    const double value = std::isfinite(bar.value) ? std::max(bar.value, 0.0) : 0.0;
    svg << "<g><title>" << html_escape(bar.label) << "</title>"
        << text(kLeft - 8, top + 15, shortened(bar.label, 42), "end") << "<rect class=\"b\" x=\"" << px(kLeft)
        << "\" y=\"" << px(top + 3) << "\" width=\"" << px(x.pixel(value) - kLeft) << "\" height=\"" << px(kStep - 6)
        << "\" rx=\"2\"/>"
        << text(x.pixel(value) + 6, top + 15,
                readable(bar.value) + " " + chart.unit +
                    (sum > 0 && chart.unit != "%" ? "  " + readable(std::round(1000 * value / sum) / 10) + " %" : ""),
                "start", "t q")
        << "</g>";
    top += kStep;
  }
  svg << "</svg>";
  return svg.str();
}

}  // namespace mmt
