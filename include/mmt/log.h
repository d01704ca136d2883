// The library never prints: it hands lines to a hook that the face (command, Python, device program) installs.
#pragma once

#include <functional>
#include <string>

namespace mmt {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogHook = std::function<void(LogLevel, const std::string&)>;

/// Installs the hook for the whole process and returns the previous one. An empty hook drops all lines (the default).
/// Thread-safe; the hook may be called from any thread, never while a lock of the library is held.
LogHook set_log_hook(LogHook hook);

void log(LogLevel level, const std::string& line);

}  // namespace mmt
