// The child's side of the worker protocol: one request, one answer, until the parent closes its end.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "engine/engine_json.h"
#include "engine/frame.h"
#include "engine/run_message.h"
#include "mmt/error.h"
#include "mmt/worker.h"

#ifdef __GLIBC__  // Known from the headers before.
#include <malloc.h>
#endif

namespace mmt {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

Frame failure(ErrorCode code, const std::string& message) {
  return {{{"ok", false}, {"code", static_cast<int>(code)}, {"message", message}}, {}};
}

/// Runs `body` and turns what it throws into an answer.
template <class Body>
Frame answered(Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    return failure(error.code(), error.what());
  } catch (const std::exception& error) {
    return failure(ErrorCode::kEngine, error.what());
  }
}

class Server {
 public:
  explicit Server(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  const Engine& engine() const { return *engine_; }

  Frame serve(const Frame& request) {
    if (request.header.is_null()) {
      const RunCall call = read_run_call(request);
      return run_answer(session(call.session).run(call.request));
    }
    const std::string call = request.header.at("call");
    if (call == "open") return open(request.header);
    if (call == "chain") return chain(request.header);
    if (call == "compute") return compute(request);
    if (call == "close") {
      sessions_.erase(request.header.at("session").get<std::int64_t>());
      return {{{"ok", true}}, {}};
    }
    if (call == "memory") {
      const ProcessMemory memory = engine_->memory();
      return {{{"ok", true}, {"resident_mib", memory.resident_mib}, {"peak_mib", memory.peak_mib}}, {}};
    }
    throw Error(ErrorCode::kUnsupported, "worker: unknown call '" + call + "'");
  }

 private:
  Session& session(std::int64_t id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) throw Error(ErrorCode::kInvalidArgument, "worker: no such session");
    return *found->second;
  }

  Frame open(const json& header) {
    auto session = engine_->open(header.at("path"), header.at("options").get<OpenOptions>());
    Frame answer{{{"ok", true}, {"session", next_}, {"desc", session->desc()}}, {}};
    sessions_.emplace(next_++, std::move(session));
    return answer;
  }

  Frame chain(const json& header) {
    std::vector<Session*> links;
    for (const json& id : header.at("sessions")) links.push_back(&session(id));
    const ChainSamples samples = engine_->run_chain(links, header.at("times"));
    Frame answer{{{"ok", true},
                  {"kernels", samples.kernel_us.size()},
                  {"timed_us", samples.timed_us},
                  {"waited_us", samples.waited_us},
                  {"overhead_us", samples.overhead_us},
                  {"steal_share", samples.steal_share}},
                 {}};
    answer.append(std::span<const float>(samples.kernel_us));
    return answer;
  }

  Frame compute(const Frame& request) {
    PayloadReader reader(request.payload);
    std::vector<std::vector<float>> inputs;
    for (const json& size : request.header.at("sizes")) inputs.push_back(reader.take<float>(size.get<std::size_t>()));
    const auto outputs = session(request.header.at("session")).compute(inputs);
    Frame answer{{{"ok", true}, {"sizes", json::array()}}, {}};
    for (const auto& output : outputs) {
      answer.header["sizes"].push_back(output.size());
      answer.append(std::span<const float>(output));
    }
    return answer;
  }

  std::unique_ptr<Engine> engine_;
  std::map<std::int64_t, std::unique_ptr<Session>> sessions_;
  std::int64_t next_ = 1;
};

/// Ends the process where the parent vanishes while a call hangs. It sleeps in the kernel and disturbs no measurement.
void watch_parent(int in_fd, const std::shared_ptr<std::atomic<bool>>& is_done) {
  std::thread([in_fd, is_done] {
    pollfd item{in_fd, 0, 0};
    while (poll(&item, 1, -1) < 0) {
    }
    // Time to end in the ordinary way. A request may still wait in the pipe: nobody wants its answer.
    for (int tenth = 0; tenth < 5; ++tenth) {
      if (is_done->load()) return;
      std::this_thread::sleep_for(milliseconds(100));
    }
    if (!is_done->load()) _exit(1);
  }).detach();
}

int serve_all(int in_fd, int out_fd, const EngineFactory& factory) {
  std::unique_ptr<Server> server;
  const Frame hello = answered([&]() -> Frame {
    server = std::make_unique<Server>(factory());
    return {{{"ok", true}, {"facts", server->engine().facts()}}, {}};
  });
  if (!write_frame(out_fd, hello) || server == nullptr) return 1;
  Frame request;
  while (read_frame(in_fd, milliseconds(-1), request) == ReadResult::kFrame) {
    if (!write_frame(out_fd, answered([&] { return server->serve(request); }))) return 1;
  }
  return 0;
}

/// Large weights of every session get fresh memory of the system, as in a process that opens one model. Left alone,
/// glibc puts those of later sessions where earlier ones were freed, and kernels whose weights are large against the
/// TLB take longer there (a Winograd convolution with 16 MB of weights: 1.4 to 2.1 ms instead of 0.9 to 1.5).
void keep_large_pieces_apart() {
#ifdef __GLIBC__
  constexpr int kLargeBytes = 4 << 20, kKeptBytes = 64 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
#endif
}

}  // namespace

int worker_main(int in_fd, int out_fd, const EngineFactory& factory) {
  keep_large_pieces_apart();
  // Control-C reaches the whole process group; what it means is the parent's decision.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);  // A parent that is gone is noticed when an answer cannot be written.
  const auto is_done = std::make_shared<std::atomic<bool>>(false);
  watch_parent(in_fd, is_done);
  const int code = serve_all(in_fd, out_fd, factory);
  is_done->store(true);
  return code;
}

}  // namespace mmt
