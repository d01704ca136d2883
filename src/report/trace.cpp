// Predictions as Chrome traces.
#include <algorithm>
#include <cmath>

#include "mmt/report.h"
#include "report/json_input.h"

namespace mmt {

std::string chrome_trace(std::string_view prediction_json) {
  using report::Json;
  const Json prediction = report::parse_object(prediction_json, "a prediction");
  const std::vector<Json> kernels = report::list(prediction, "kernels"), nodes = report::list(prediction, "nodes");
  Json events = Json::array();
  const auto name_row = [&](int row, const char* name) {
    events.push_back({{"ph", "M"}, {"name", "thread_name"}, {"pid", 1}, {"tid", row}, {"args", {{"name", name}}}});
  };
  events.push_back({{"ph", "M"}, {"name", "process_name"}, {"pid", 1}, {"args", {{"name", "predicted run"}}}});
  name_row(1, "operators");
  name_row(2, "kernels");
  const auto add = [&](int row, const std::string& name, const std::string& category, double start, double duration,
                       Json args) {
    events.push_back({{"ph", "X"},
                      {"name", name},
                      {"cat", category},
                      {"pid", 1},
                      {"tid", row},
                      {"ts", start},
                      {"dur", duration},
                      {"args", std::move(args)}});
  };

  // The run's own overhead stands before the first kernel, each kernel's share of the others before that kernel.
  const double before_kernel =
      kernels.empty() ? 0 : report::number(prediction, "kernel_overhead_us") / static_cast<double>(kernels.size());
  double now = std::max(0.0, report::number(prediction, "run_overhead_us"));
  std::int64_t open_node = -1;
  double open_since = 0;
  const auto close_node = [&](double end) {
    if (open_node < 0 || open_node >= static_cast<std::int64_t>(nodes.size())) return;
    const Json& node = nodes[static_cast<std::size_t>(open_node)];
    const std::string module = report::words(node, "module");
    add(1, module.empty() ? report::words(node, "name", "operator") : module, report::words(node, "found", "operator"),
        open_since, end - open_since,
        {{"class", report::words(node, "name")}, {"input_shapes", node.value("input_shapes", Json::array())}});
  };
  for (const Json& kernel : kernels) {
    const auto node = static_cast<std::int64_t>(report::number(kernel, "node", -1));
    if (node != open_node) {
      close_node(now);
      open_node = node;
      open_since = now;
    }
    now += before_kernel;
    const double duration = std::max(0.0, report::number(kernel, "latency_us"));
    add(2, report::words(kernel, "type", "kernel"), kernel.value("estimated", false) ? "estimated" : "measured", now,
        duration,
        {{"kernel", report::words(kernel, "text")},
         {"hot_us", report::number(kernel, "hot_us")},
         {"cold_us", report::number(kernel, "cold_us")}});
    now += duration;
  }
  close_node(now);
  const Json trace = {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
  return trace.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mmt
