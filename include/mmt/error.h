// The one error type of MMT.
//
// Every function of the library reports failure by throwing `mmt::Error`; nothing in the library prints or aborts.
// The message is one that a user can act upon: it names the file (and line, column or key where there is one), what
// is wrong, and what would be right.
#pragma once

#include <stdexcept>
#include <string>

namespace mmt {

/// What kind of failure it is; decides the exit code and the Python exception class.
enum class ErrorCode {
  kInvalidArgument,  ///< The caller's values make no sense (wrong shape, negative count).
  kParse,            ///< A file or text is malformed; the message gives the place.
  kNotFound,         ///< A file, operator, module or row does not exist.
  kIo,               ///< Reading or writing failed; the message holds the system's reason.
  kUnsupported,      ///< Valid, but this build, engine or version cannot do it.
  kEngine,           ///< The engine refused a model or a run.
  kCrashed,          ///< A worker process died.
  kTimeout,          ///< A worker process did not answer in time.
  kCorrupt,          ///< Stored data fails its own checks.
  kInterrupted,      ///< The user asked to stop.
};

/// Stable lower-case name of a code, as written into journals and JSON ("invalid_argument", "parse", …).
const char* error_code_name(ErrorCode code) noexcept;

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace mmt
