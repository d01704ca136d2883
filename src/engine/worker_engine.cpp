// The parent's side of the worker protocol: Engine and Session whose work is done by a child process.
#include <signal.h>

#include <memory>
#include <optional>
#include <utility>

#include "engine/child_process.h"
#include "engine/engine_json.h"
#include "engine/frame.h"
#include "engine/run_message.h"
#include "mmt/error.h"
#include "mmt/worker.h"

namespace mmt {
namespace {

using nlohmann::json;

/// The child and everything needed to lose it in an orderly way. Sessions keep it alive.
class Worker {
 public:
  explicit Worker(WorkerOptions options) : options_(std::move(options)) {}

  /// Starts a new child in place of the old one, and returns its engine's facts.
  EngineFacts start() {
    child_.reset();
    lost_.reset();
    ++generation_;
    outstanding_ = 0;
    child_ = std::make_unique<ChildProcess>(options_.argv, options_.env);
    const Frame hello = receive("starting the engine", options_.start_timeout);
    return hello.header.at("facts").get<EngineFacts>();
  }

  /// Sends a request and waits for its answer. `what` is named in messages: "a.mnn: a run".
  Frame call(const Frame& request, const std::string& what) {
    require_alive();
    drop_answers();
    child_->trim_errors();
    if (!write_frame(child_->to_child(), request)) lose_to_crash(what);
    return receive(what, options_.call_timeout);
  }

  /// The same in two steps. Where the child is gone already, the answer that is missing first says so.
  void start(const Frame& request) {
    require_alive();
    write_frame(child_->to_child(), request);
    ++outstanding_;
  }
  Frame finish(const std::string& what) {
    require_alive();
    if (outstanding_ == 0) throw Error(ErrorCode::kInvalidArgument, what + ": finished but not started");
    --outstanding_;
    return receive(what, options_.call_timeout);
  }

  bool is_alive(long generation) const { return !lost_ && generation == generation_; }
  long generation() const { return generation_; }

 private:
  /// Answers that nobody waits for any more (their session was closed, an error ended the visit).
  void drop_answers() {
    while (outstanding_ > 0) {
      try {
        finish("an earlier run");
      } catch (const Error&) {
        if (lost_) throw;  // Else a refusal of that run, which nobody asked for.
      }
    }
  }

  void require_alive() const {
    if (lost_) throw Error(lost_->code(), std::string(lost_->what()) + " (earlier; restart the engine to go on)");
  }

  Frame receive(const std::string& what, std::chrono::milliseconds timeout) {
    Frame answer;
    ReadResult result;
    try {
      result = read_frame(child_->from_child(), timeout, answer);
    } catch (const Error& error) {
      child_->kill();
      lose(ErrorCode::kCrashed, what + ": " + error.what());
    }
    if (result == ReadResult::kClosed) lose_to_crash(what);
    if (result == ReadResult::kTimeout) {
      child_->kill();
      lose(ErrorCode::kTimeout, what + ": no answer within " + std::to_string(timeout.count()) + " ms");
    }
    if (answer.header.is_null()) return answer;
    if (!answer.header.value("ok", false)) {
      const Error error(static_cast<ErrorCode>(answer.header.value("code", static_cast<int>(ErrorCode::kEngine))),
                        answer.header.value("message", what + " failed"));
      throw error;
    }
    return answer;
  }

  [[noreturn]] void lose_to_crash(const std::string& what) {
    const std::string end = child_->wait_for_end();
    lose(ErrorCode::kCrashed, what + ": the worker process " + end);
  }

  [[noreturn]] void lose(ErrorCode code, const std::string& message) {
    child_->wait_for_end();
    const std::string errors = child_->last_errors();
    lost_.emplace(code, message + (errors.empty() ? "" : "; its last words:\n" + errors));
    throw *lost_;
  }

  WorkerOptions options_;
  std::unique_ptr<ChildProcess> child_;
  std::optional<Error> lost_;
  long generation_ = 0;
  int outstanding_ = 0;  ///< Requests that were started and not finished.
};

class WorkerSession final : public Session {
 public:
  WorkerSession(std::shared_ptr<Worker> worker, std::string path, const json& answer)
      : worker_(std::move(worker)),
        generation_(worker_->generation()),
        path_(std::move(path)),
        id_(answer.at("session").get<std::int64_t>()),
        desc_(answer.at("desc").get<SessionDesc>()) {}

  ~WorkerSession() override {
    if (!worker_->is_alive(generation_)) return;
    try {
      worker_->call({{{"call", "close"}, {"session", id_}}, {}}, path_ + ": closing");
    } catch (const Error&) {
      // The worker remembers that it is lost, and the next call says so.
    }
  }

  const SessionDesc& desc() const override { return desc_; }
  std::int64_t id() const {
    require_current();
    return id_;
  }

  RunSamples run(const RunRequest& request) override {
    require_current();
    return read_run_answer(worker_->call(run_frame(request), path_ + ": a run"));
  }

  void start(const RunRequest& request) override {
    require_current();
    worker_->start(run_frame(request));
  }

  RunSamples finish() override {
    require_current();
    return read_run_answer(worker_->finish(path_ + ": a run"));
  }

  std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs) override {
    Frame request{{{"call", "compute"}, {"sizes", json::array()}}, {}};
    for (const auto& input : inputs) {
      request.header["sizes"].push_back(input.size());
      request.append(std::span<const float>(input));
    }
    const Frame answer = call(std::move(request), "computing");
    PayloadReader reader(answer.payload);
    std::vector<std::vector<float>> outputs;
    for (const json& size : answer.header.at("sizes")) outputs.push_back(reader.take<float>(size.get<std::size_t>()));
    return outputs;
  }

 private:
  Frame run_frame(const RunRequest& request) const {
    if (request.runs < 1) throw Error(ErrorCode::kInvalidArgument, "runs must be at least 1");
    return run_call(id_, request);
  }

  void require_current() const {
    if (generation_ != worker_->generation())
      throw Error(ErrorCode::kCrashed, path_ + ": the session was lost when the worker was started again");
  }

  Frame call(Frame request, const std::string& doing) {
    require_current();
    request.header["session"] = id_;
    return worker_->call(request, path_ + ": " + doing);
  }

  std::shared_ptr<Worker> worker_;
  long generation_;
  std::string path_;
  std::int64_t id_;
  SessionDesc desc_;
};

class WorkerEngine final : public Engine {
 public:
  explicit WorkerEngine(const WorkerOptions& options)
      : worker_(std::make_shared<Worker>(options)), facts_(worker_->start()) {}

  const EngineFacts& facts() const override { return facts_; }

  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override {
    const Frame answer =
        worker_->call({{{"call", "open"}, {"path", path}, {"options", options}}, {}}, path + ": opening");
    return std::make_unique<WorkerSession>(worker_, path, answer.header);
  }

  void restart() override { facts_ = worker_->start(); }
  bool runs_apart() const override { return true; }
  ProcessMemory memory() override {
    const Frame answer = worker_->call({{{"call", "memory"}}, {}}, "reading the worker's memory");
    return {answer.header.at("resident_mib"), answer.header.at("peak_mib")};
  }

 private:
  ChainSamples do_run_chain(std::span<Session* const> sessions, int times) override {
    json ids = json::array();
    for (Session* session : sessions) {
      const auto* link = dynamic_cast<const WorkerSession*>(session);
      if (link == nullptr) throw Error(ErrorCode::kInvalidArgument, "a chain holds a session of another engine");
      ids.push_back(link->id());
    }
    const std::string what = "a chain of " + std::to_string(sessions.size()) + " models";
    const Frame answer = worker_->call({{{"call", "chain"}, {"sessions", ids}, {"times", times}}, {}}, what);
    ChainSamples samples;
    PayloadReader reader(answer.payload);
    samples.kernel_us = reader.take<float>(answer.header.at("kernels"));
    samples.timed_us = answer.header.at("timed_us");
    samples.waited_us = answer.header.at("waited_us");
    samples.overhead_us = answer.header.at("overhead_us");
    samples.steal_share = answer.header.at("steal_share");
    return samples;
  }

  std::shared_ptr<Worker> worker_;
  EngineFacts facts_;
};

}  // namespace

std::unique_ptr<Engine> start_worker_engine(const WorkerOptions& options) {
  return std::make_unique<WorkerEngine>(options);
}

}  // namespace mmt
