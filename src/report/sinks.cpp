// CSV and JSON on their way to a stream or a file.
#include <fstream>
#include <ostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/report.h"
#include "mmt/table_tools.h"
#include "report/text.h"

namespace mmt {
namespace {

class CsvSink final : public RecordSink {
 public:
  explicit CsvSink(std::ostream& stream) : stream_(stream) {}

  void columns(const std::vector<std::string>& names) override {
    for (std::size_t i = 0; i < names.size(); ++i) stream_ << (i == 0 ? "" : ",") << report::csv_field(names[i]);
    stream_ << '\n';
  }

  void row(const Record& values) override {
    // A record of one empty field would be an empty line, which readers skip.
    if (values.size() == 1 && report::value_text(values[0], false).empty()) {
      stream_ << "\"\"\n";
      return;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      stream_ << (i == 0 ? "" : ",") << report::csv_field(report::value_text(values[i], false));
    }
    stream_ << '\n';
  }

 private:
  std::ostream& stream_;
};

class JsonSink final : public RecordSink {
  using Json = nlohmann::ordered_json;

 public:
  explicit JsonSink(std::ostream& stream) : stream_(stream) {}

  void columns(const std::vector<std::string>& names) override { names_ = names; }

  void row(const Record& values) override {
    Json object = Json::object();
    for (std::size_t i = 0; i < values.size(); ++i) object[names_.at(i)] = std::visit(Visitor{}, values[i]);
    stream_ << (rows_++ == 0 ? "[\n" : ",\n") << object.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void finish() override { stream_ << (rows_ == 0 ? "[]\n" : "\n]\n"); }

 private:
  struct Visitor {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(const JsonText& json) const {
      Json parsed = Json::parse(json.text, nullptr, false);
      return parsed.is_discarded() ? Json(json.text) : parsed;
    }
    template <class T>
    Json operator()(const T& value) const {
      return value;
    }
  };

  std::ostream& stream_;
  std::vector<std::string> names_;
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<RecordSink> csv_sink(std::ostream& stream) { return std::make_unique<CsvSink>(stream); }
std::unique_ptr<RecordSink> json_sink(std::ostream& stream) { return std::make_unique<JsonSink>(stream); }

std::string export_records(const std::string& path, const std::string& view, const std::string& format,
                           const std::string& file, const std::string& config_id, std::int64_t limit) {
  if (format != "csv" && format != "json") {
    throw Error(ErrorCode::kInvalidArgument, "\"" + format + "\" is no export format; there are csv and json");
  }
  const auto write = [&](std::ostream& stream) {
    const auto sink = format == "csv" ? csv_sink(stream) : json_sink(stream);
    read_records(path, view, config_id, *sink, limit);
  };
  if (file == "-") {
    std::ostringstream text;
    write(text);
    return text.str();
  }
  const std::string temporary = file + ".part";
  try {
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    if (!stream)
      throw Error(ErrorCode::kIo, temporary + ": cannot be written; does its folder exist, and may it be written?");
    write(stream);
    stream.close();
    if (!stream) throw Error(ErrorCode::kIo, temporary + ": cannot be written in full; is there room on the disk?");
    replace_file(temporary, file);
  } catch (...) {
    std::remove(temporary.c_str());
    throw;
  }
  return "";
}

}  // namespace mmt
