#include "mmt/journal.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <string_view>

#include "meter/fields_json.h"
#include "mmt/clock.h"
#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/log.h"
#include "mmt/stats.h"

namespace mmt {
namespace {

using fields_json::Json;

// The checksum is the last field of the line, so that it can be cut off and checked without parsing:
//   {"type":"profile",…,"sum":"0123456789abcdef"}
constexpr std::string_view kSumStart = ",\"sum\":\"";
constexpr std::size_t kSumDigits = 16;
constexpr std::size_t kSumSize = kSumStart.size() + kSumDigits + 2;

std::string checksum(std::string_view body) { return sha256_hex(body).substr(0, kSumDigits); }

std::string sealed_line(const Json& object) {
  std::string line = object.dump(-1, ' ', false, Json::error_handler_t::replace);  // Engines may say anything.
  line.pop_back();                                                                 // The closing brace.
  return line + std::string(kSumStart) + checksum(line) + "\"}\n";
}

/// What is wrong with the line's checksum; empty where it is right.
std::string seal_error(std::string_view line) {
  if (line.size() < kSumSize || line.substr(line.size() - kSumSize, kSumStart.size()) != kSumStart ||
      line.substr(line.size() - 2) != "\"}") {
    return "no checksum at its end";
  }
  const std::string_view body = line.substr(0, line.size() - kSumSize);
  const std::string_view sum = line.substr(line.size() - 2 - kSumDigits, kSumDigits);
  return checksum(body) == sum ? "" : "checksum differs";
}

/// Fills in what journals of earlier versions do not tell.
void complete(Summary& summary) {
  if (summary.count > 0 && summary.expected_us == 0) summary.expected_us = expected_us(summary);
}
void complete(ModelProfile& profile) {
  complete(profile.cold);
  complete(profile.hot);
  for (KernelProfile& kernel : profile.kernels) {
    complete(kernel.cold);
    complete(kernel.hot);
  }
}

std::int64_t whole_size(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return 0;
  // From the end backwards in pieces: only a torn line has to be skipped, not the whole file to be read.
  stream.seekg(0, std::ios::end);
  std::int64_t end = stream.tellg();
  std::string piece;
  while (end > 0) {
    const std::int64_t start = std::max<std::int64_t>(0, end - (1 << 16));
    piece.resize(static_cast<std::size_t>(end - start));
    stream.seekg(start);
    stream.read(piece.data(), end - start);
    if (!stream) throw Error(ErrorCode::kIo, path + ": cannot be read");
    if (const std::size_t size = whole_lines_size(piece)) return start + static_cast<std::int64_t>(size);
    end = start;
  }
  return 0;
}

}  // namespace

// Flushing takes milliseconds on many disks, time in which nothing is measured.
constexpr std::chrono::milliseconds kFlushInterval{200};

struct JournalWriter::Impl {
  AppendFile file;
  std::string config;
  std::chrono::nanoseconds last_flush = system_clock().now();
  bool dirty = true;

  void write(const Json& line) {
    file.append(sealed_line(line));
    dirty = true;
    if (system_clock().now() - last_flush >= kFlushInterval) flush();
  }
  void flush() {
    if (!dirty) return;
    file.sync();
    dirty = false;
    last_flush = system_clock().now();
  }
};

JournalWriter::JournalWriter(const std::string& path, const Provenance& run)
    : impl_(new Impl{AppendFile(path), run.config_id()}) {
  impl_->file.truncate(whole_size(path));
  Json line{{"type", "run"}, {"format", 1}, {"config", impl_->config}};
  line.update(fields_json::encode(run));
  impl_->write(line);
}

JournalWriter::~JournalWriter() {
  try {
    impl_->flush();
  } catch (const Error& error) {
    log(LogLevel::kError, error.what());  // The lines are written; only a power failure can still lose them.
  }
}

void JournalWriter::flush() { impl_->flush(); }

void JournalWriter::append(const ModelProfile& profile) {
  Json line{{"type", "profile"}, {"config", impl_->config}};
  line.update(fields_json::encode(profile));
  impl_->write(line);
}

void JournalWriter::append(const CacheCurve& curve) {
  if (curve.empty()) return;
  impl_->write({{"type", "cache"},
                {"config", impl_->config},
                {"bytes", curve.bytes},
                {"loop_us", curve.loop_us},
                {"extra_us", curve.extra_us},
                {"cold_extra_us", curve.cold_extra_us},
                {"reread_extra_us", curve.reread_extra_us},
                {"reread_cold_extra_us", curve.reread_cold_extra_us}});
}

JournalReport read_journal(const std::string& path, const std::function<void(const JournalEntry&)>& each,
                           const std::function<void(const JournalCache&)>& each_cache) {
  JournalReport report;
  if (!file_exists(path)) return report;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error(ErrorCode::kIo, path + ": cannot be opened for reading");

  JournalEntry entry;
  std::string& config = entry.config_id;  // Of the run that the following profiles belong to; empty: none yet.
  bool is_profile = false;
  std::optional<CacheCurve> curve;
  const auto take = [&](const std::string& text) -> std::string {
    is_profile = false;
    curve.reset();
    if (std::string error = seal_error(text); !error.empty()) return error;
    const Json line = Json::parse(text, nullptr, false);
    if (line.is_discarded() || !line.is_object()) return "not a JSON object";
    const std::string type = line.value("type", "");
    if (type == "run") {
      if (line.value("format", 0) != 1) {
        throw Error(ErrorCode::kUnsupported, path + ": journal format " + line.value("format", Json(0)).dump() +
                                                 " was written by a newer version; this one reads format 1");
      }
      entry.run = {};
      fields_json::decode(line, entry.run);
      config = line.value("config", "");
    } else if (type == "profile") {
      if (config.empty() || line.value("config", "") != config) return "belongs to a run whose first line is lost";
      entry.profile = {};
      fields_json::decode(line, entry.profile);
      complete(entry.profile);
      is_profile = true;
    } else if (type == "cache") {
      if (config.empty() || line.value("config", "") != config) return "belongs to a run whose first line is lost";
      if (!line.contains("loop_us")) return "";  // By an earlier version; λ without the time says nothing.
      const auto list = [&](const char* name) { return line.at(name).get<std::vector<double>>(); };
      curve = CacheCurve{list("bytes"), list("loop_us"), list("extra_us"), list("cold_extra_us"), {}, {}};
      if (line.contains("reread_extra_us")) {
        curve->reread_extra_us = list("reread_extra_us");
        curve->reread_cold_extra_us = list("reread_cold_extra_us");
      }
      if (!curve->is_even()) {
        curve.reset();
        return "its lists differ in length";
      }
    }  // Other types are from later versions of the same format and say nothing about times.
    return "";
  };

  std::string text;
  std::int64_t number = 0;
  while (std::getline(stream, text)) {
    ++number;
    std::string error;
    if (stream.eof()) {
      if (text.empty()) break;
      error = "torn, it does not end with a line feed";
    } else {
      try {
        error = take(text);
      } catch (const Json::exception& exception) {
        error = exception.what();
      } catch (const Error& exception) {
        if (exception.code() != ErrorCode::kParse) throw;
        error = exception.what();
      }
    }
    if (error.empty()) {
      ++report.lines;
      if (is_profile) each(entry);
      if (curve && each_cache) each_cache({entry.run, config, *curve});
    } else if (report.dropped++ == 0) {
      report.first_drop = "line " + std::to_string(number) + ": " + error;
    }
  }
  if (stream.bad()) throw Error(ErrorCode::kIo, path + ": cannot be read to its end");
  return report;
}

std::string profile_json(const ModelProfile& profile) {
  return fields_json::encode(profile).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string provenance_json(const Provenance& run) {
  return fields_json::encode(run).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mmt
