#include <algorithm>
#include <sstream>

#include "mmt/report.h"
#include "report/page_parts.h"
#include "report/text.h"

namespace mmt {
namespace {

using report::exact;
using report::html_escape;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// "hot_median_us" -> "hot median, µs".
std::string column_title(const std::string& name) {
  static const std::pair<const char*, const char*> kUnits[] = {
      {"_us", "µs"}, {"_pct", "%"}, {"_mib", "MiB"}, {"_bytes", "bytes"}};
  std::string title = name, unit;
  for (const auto& [end, text] : kUnits) {
    if (!ends_with(name, end)) continue;
    title = name.substr(0, name.size() - std::string(end).size());
    unit = std::string(", ") + text;
  }
  std::replace(title.begin(), title.end(), '_', ' ');
  return title + unit;
}

void write_table(std::ostream& page, const ReportTable& table) {
  std::vector<bool> numeric(table.columns.size(), true);
  for (std::size_t column = 0; column < numeric.size(); ++column) {
    bool any = false;
    for (const Record& row : table.rows) {
      double number;
      if (column >= row.size() || std::holds_alternative<std::monostate>(row[column])) continue;
      any = true;
      if (!report::number_of(row[column], number)) numeric[column] = false;
    }
    if (!any) numeric[column] = false;
  }
  page << "<section class=\"table\">";
  if (!table.title.empty()) page << "<h3>" << html_escape(table.title) << "</h3>";
  const bool short_table = table.rows.size() <= 10;
  page << "<input type=\"search\" placeholder=\"filter " << table.rows.size() << " rows\" aria-label=\"filter\""
       << (short_table ? " hidden" : "") << "><div class=\"scroll\"><table><thead><tr>";
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    page << "<th" << (numeric[column] ? " class=\"n\"" : "") << ">" << html_escape(column_title(table.columns[column]))
         << "</th>";
  }
  page << "</tr></thead><tbody>\n";
  for (const Record& row : table.rows) {
    page << "<tr>";
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const RecordValue value = column < row.size() ? row[column] : RecordValue();
      double number;
      if (numeric[column]) {
        page << "<td class=\"n\"";
        if (report::number_of(value, number)) page << " data-v=\"" << exact(number) << "\"";
      } else {
        page << "<td class=\"w\"";
      }
      page << ">" << html_escape(report::value_text(value, true)) << "</td>";
    }
    page << "</tr>\n";
  }
  page << "</tbody></table></div>";
  if (table.left_out > 0) {
    page << "<p class=\"more\">" << html_escape(report::value_text(RecordValue(table.left_out), true))
         << " more rows are not shown here; export them as CSV or JSON.</p>";
  }
  page << "</section>\n";
}

}  // namespace

std::string render_html(const Report& report) {
  std::ostringstream page;
  page << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
       << "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
       << "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
          "script-src 'unsafe-inline'; img-src data:\">"
       << "<title>" << html_escape(report.title) << "</title><style>" << report::kPageStyle
       << "</style></head><body>\n<h1>" << html_escape(report.title) << "</h1>\n";
  for (const ReportSection& section : report.sections) {
    if (!section.heading.empty()) page << "<h2>" << html_escape(section.heading) << "</h2>\n";
    if (!section.text.empty()) page << "<p>" << html_escape(section.text) << "</p>\n";
    if (!section.facts.empty()) {
      page << "<dl>";
      for (const auto& [name, value] : section.facts) {
        page << "<div><dt>" << html_escape(name) << "</dt><dd>" << html_escape(value) << "</dd></div>";
      }
      page << "</dl>\n";
    }
    for (const ScatterChart& chart : section.scatters) page << "<figure>" << render_svg(chart) << "</figure>\n";
    for (const BarChart& chart : section.bars) page << "<figure>" << render_svg(chart) << "</figure>\n";
    for (const ReportTable& table : section.tables) write_table(page, table);
  }
  page << "<script>" << report::kPageScript << "</script></body></html>\n";
  return page.str();
}

}  // namespace mmt
