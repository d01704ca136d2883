#include "engine/test_worker_process.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "mmt/worker.h"
#include "support/fake_engine.h"

namespace mmt::testing {
namespace {

constexpr const char* kFlag = "--be-a-test-worker";

/// A fake engine, but the failures of some models are those of a real process.
class RealFailures final : public Engine {
 public:
  RealFailures() : fake_(clock_, facts_with_pid()) {
    const FakeModel model = fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}});
    for (const char* name : {"good", "chatter", "echo", "failing"}) fake_.program(name, model);
    fake_.model("failing").run_failure = ErrorCode::kEngine;
  }

  const EngineFacts& facts() const override { return fake_.facts(); }

  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override {
    if (path == "abort") {
      std::fputs("something is rotten\n", stderr);
      std::fflush(stderr);
      end_by_signal();
    }
    if (path == "exit") _exit(3);
    if (path == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    if (path == "chatter") {
      const std::string line(1000, 'x');
      for (int i = 0; i < 2000; ++i) std::printf("%s\n", line.c_str()), std::fprintf(stderr, "%s\n", line.c_str());
      std::fflush(stdout);
    }
    return fake_.open(path, options);
  }

  ProcessMemory memory() override { return fake_.memory(); }

 private:
  static EngineFacts facts_with_pid() {
    EngineFacts facts = FakeEngine::default_facts();
    facts.build = std::to_string(getpid());
    return facts;
  }
  /// Ends by a signal that no sanitizer turns into an exit code.
  [[noreturn]] static void end_by_signal() {
    kill(getpid(), SIGKILL);
    std::abort();
  }

  FakeClock clock_;
  FakeEngine fake_;
};

/// Before main(): where the command line says so, this process is a worker and nothing else.
const bool kServed = [] {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t flag = text.find(kFlag);
  if (flag == std::string::npos) return false;
  const std::string mode = text.c_str() + flag + std::string(kFlag).size() + 1;
  if (mode == "silent") std::this_thread::sleep_for(std::chrono::hours(1));
  _exit(worker_main(kWorkerInFd, kWorkerOutFd, [&]() -> std::unique_ptr<Engine> {
    if (mode == "refuse") throw Error(ErrorCode::kUnsupported, "this engine is not for you");
    return std::make_unique<RealFailures>();
  }));
  return true;
}();

}  // namespace

std::string own_program() {
  std::string path(4096, '\0');
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return path;
}

std::vector<std::string> worker_command(const std::string& mode) {
  std::vector<std::string> command;
  if (const char* launcher = std::getenv("MMT_WORKER_LAUNCHER"); launcher != nullptr) {  // An emulator, for example.
    std::istringstream words(launcher);
    for (std::string word; words >> word;) command.push_back(word);
  }
  for (const std::string& word : {own_program(), std::string(kFlag), mode}) command.push_back(word);
  return command;
}

}  // namespace mmt::testing
