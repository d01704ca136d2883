#include "engine/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "mmt/error.h"
#include "mmt/worker.h"

extern char** environ;

namespace mmt {
namespace {

std::string reason_text(int error) { return std::strerror(error); }

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (std::string& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::string signal_text(int number) {
  static constexpr std::pair<int, const char*> kNames[] = {
      {SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
      {SIGILL, "SIGILL"},   {SIGKILL, "SIGKILL"}, {SIGTERM, "SIGTERM"}, {SIGPIPE, "SIGPIPE"}};
  for (const auto& [value, name] : kNames)
    if (value == number) return name;
  return "signal " + std::to_string(number);
}

/// The same file, at a number out of the way of the fixed ones that the child gets.
int moved_up(int fd) {
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  const int error = errno;
  close(fd);
  if (moved < 0) throw Error(ErrorCode::kIo, "worker: cannot create a pipe: " + reason_text(error));
  return moved;
}

struct SpawnActions {
  SpawnActions() { posix_spawn_file_actions_init(&value); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&value); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t value;
};

}  // namespace

void ChildProcess::Fd::reset(int fd) {
  if (value >= 0) close(value);
  value = fd;
}

ChildProcess::ChildProcess(const std::vector<std::string>& argv, const std::vector<std::string>& extra_env) {
  if (argv.empty()) throw Error(ErrorCode::kInvalidArgument, "worker: its command is empty");
  int requests[2], answers[2];
  if (pipe2(requests, O_CLOEXEC) != 0)
    throw Error(ErrorCode::kIo, "worker: cannot create a pipe: " + reason_text(errno));
  const Fd child_in(moved_up(requests[0]));
  to_child_.reset(moved_up(requests[1]));
  if (pipe2(answers, O_CLOEXEC) != 0)
    throw Error(ErrorCode::kIo, "worker: cannot create a pipe: " + reason_text(errno));
  from_child_.reset(moved_up(answers[0]));
  const Fd child_out(moved_up(answers[1]));
  errors_.reset(std::tmpfile());
  if (errors_ == nullptr) throw Error(ErrorCode::kIo, "worker: cannot create a temporary file: " + reason_text(errno));
  // Appending, so that trim_errors() does not leave a hole.
  fcntl(fileno(errors_.get()), F_SETFL, O_APPEND);
  fcntl(fileno(errors_.get()), F_SETFD, FD_CLOEXEC);

  SpawnActions actions;
  posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions.value, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.value, fileno(errors_.get()), 2);
  posix_spawn_file_actions_adddup2(&actions.value, child_in.value, kWorkerInFd);
  posix_spawn_file_actions_adddup2(&actions.value, child_out.value, kWorkerOutFd);

  std::vector<std::string> arguments = argv;
  std::vector<std::string> environment = extra_env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(extra_env.begin(), extra_env.end(),
                                      [&](const std::string& extra) { return extra.rfind(name, 0) == 0; });
    if (!replaced) environment.push_back(text);
  }
  const int error = posix_spawnp(&pid_, arguments[0].c_str(), &actions.value, nullptr, pointers(arguments).data(),
                                 pointers(environment).data());
  if (error != 0) {
    pid_ = -1;
    throw Error(ErrorCode::kNotFound, "worker: cannot start " + argv[0] + ": " + reason_text(error));
  }
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  to_child_.reset();
  if (!wait_some(1000)) kill();
  wait_for_end();
}

void ChildProcess::kill() {
  if (pid_ > 0 && !ended_) ::kill(pid_, SIGKILL);
}

bool ChildProcess::wait_some(int milliseconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (!ended_) {
    const pid_t got = waitpid(pid_, &status_, WNOHANG);
    // An error means that somebody else (a SIGCHLD handler of the host program) has collected it.
    if (got == pid_ || (got < 0 && errno != EINTR)) {
      if (got < 0) status_ = 0;
      ended_ = true;
    } else if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return true;
}

std::string ChildProcess::wait_for_end() {
  if (!wait_some(5000)) {
    kill();
    wait_some(60'000);
  }
  if (WIFSIGNALED(status_)) return "was ended by " + signal_text(WTERMSIG(status_));
  return "exited with code " + std::to_string(WEXITSTATUS(status_));
}

std::string ChildProcess::last_errors(std::size_t limit) const {
  const int fd = fileno(errors_.get());
  struct stat info {};
  if (fstat(fd, &info) != 0 || info.st_size == 0) return "";
  const std::size_t size = std::min<std::size_t>(limit, static_cast<std::size_t>(info.st_size));
  std::string text(size, '\0');
  const ssize_t got = pread(fd, text.data(), size, info.st_size - static_cast<off_t>(size));
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  // Do not begin in the middle of a line where there is a whole one.
  const std::size_t line = text.find('\n');
  if (static_cast<std::size_t>(info.st_size) > limit && line != std::string::npos) text.erase(0, line + 1);
  return text;
}

void ChildProcess::trim_errors() const {
  const int fd = fileno(errors_.get());
  struct stat info {};
  constexpr off_t kMaxSize = 1 << 20;
  if (fstat(fd, &info) == 0 && info.st_size > kMaxSize && ftruncate(fd, 0) != 0)
    throw Error(ErrorCode::kIo, "worker: cannot shorten its error file: " + reason_text(errno));
}

}  // namespace mmt
