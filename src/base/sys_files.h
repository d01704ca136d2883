// Small readers for /proc and /sys, shared by the host facts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mmt {

std::string trimmed(const std::string& text);

/// First line of a file; "" where unreadable or empty.
std::string read_line(const std::string& path);

/// A number at the start of a file; false where unreadable.
bool read_number(const std::string& path, double& value);

/// Entries of a folder whose names start with `prefix`, naturally sorted (cpu2 before cpu10); empty where unreadable.
std::vector<std::string> list_folder(const std::string& path, const std::string& prefix);

/// Value of a line "key   : value" (or "key=value") in `text`; "" where absent. Quotes around the value are removed.
std::string field_of(const std::string& text, const std::string& key, char separator);

/// "512K", "1M", "8192" -> bytes; -1 where it is none of these.
std::int64_t parse_size(const std::string& text);

}  // namespace mmt
