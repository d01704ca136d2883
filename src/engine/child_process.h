// A child process with a pipe to each side, its standard output dropped and its standard error kept for messages.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace mmt {

class ChildProcess {
 public:
  /// Starts `argv` with kWorkerInFd and kWorkerOutFd open. Throws Error(kNotFound, kIo).
  ChildProcess(const std::vector<std::string>& argv, const std::vector<std::string>& extra_env);
  /// Ends the child: first by closing its input, after a moment by SIGKILL.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int to_child() const { return to_child_.value; }
  int from_child() const { return from_child_.value; }
  pid_t pid() const { return pid_; }

  void kill();
  /// Waits for the end (killing it where that takes too long): "was ended by SIGSEGV", "exited with code 3".
  std::string wait_for_end();
  /// The last lines on standard error, at most about `limit` bytes; "" where there are none.
  std::string last_errors(std::size_t limit = 2000) const;
  /// Keeps the file behind standard error small; to be called now and then.
  void trim_errors() const;

 private:
  struct Fd {
    int value = -1;
    Fd() = default;
    explicit Fd(int fd) : value(fd) {}
    ~Fd() { reset(); }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    void reset(int fd = -1);
  };
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  bool wait_some(int milliseconds);

  Fd to_child_, from_child_;
  std::unique_ptr<std::FILE, CloseFile> errors_;
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace mmt
