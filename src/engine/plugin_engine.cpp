// Engines behind the C interface: loading the library, and Engine and Session over its calls.
#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "engine/engine_json.h"
#include "engine/mmt_engine.h"
#include "mmt/error.h"
#include "mmt/worker.h"

namespace mmt {
namespace {

static_assert(static_cast<int>(ErrorCode::kInvalidArgument) + 1 == MMT_ENGINE_INVALID_ARGUMENT);
static_assert(static_cast<int>(ErrorCode::kEngine) + 1 == MMT_ENGINE_ENGINE);
static_assert(static_cast<int>(ErrorCode::kInterrupted) + 1 == MMT_ENGINE_INTERRUPTED);

/// Calls of the plugin, with codes turned into exceptions.
template <class Call>
void checked(Call&& call) {
  std::array<char, 2048> text{};
  mmt_engine_error error{text.data(), text.size()};
  const int code = call(&error);
  if (code == MMT_ENGINE_OK) return;
  const bool known = code >= MMT_ENGINE_INVALID_ARGUMENT && code <= MMT_ENGINE_INTERRUPTED;
  throw Error(known ? static_cast<ErrorCode>(code - 1) : ErrorCode::kEngine, text.data());
}

const mmt_engine_plugin_api& load_plugin(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) throw Error(ErrorCode::kNotFound, path + ": there is no such engine plugin");
  // Never closed: engines leave threads and static objects behind.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw Error(ErrorCode::kUnsupported,
                path + ": the engine plugin cannot be loaded: " + (reason ? reason : "unknown"));
  }
  const auto entry = reinterpret_cast<mmt_engine_plugin_entry>(dlsym(library, MMT_ENGINE_ENTRY));
  if (entry == nullptr) throw Error(ErrorCode::kUnsupported, path + ": is no engine plugin (no " MMT_ENGINE_ENTRY ")");
  const mmt_engine_plugin_api* api = entry(MMT_ENGINE_ABI_VERSION);
  if (api == nullptr || api->abi_version != MMT_ENGINE_ABI_VERSION || api->struct_size != sizeof(mmt_engine_plugin_api))
    throw Error(ErrorCode::kUnsupported,
                path + ": the engine plugin was built for another version of MMT; build both anew");
  return *api;
}

/// The engine itself; sessions keep it alive.
struct EngineHandle {
  explicit EngineHandle(const mmt_engine_plugin_api& plugin) : api(plugin) {}
  ~EngineHandle() {
    if (engine != nullptr) api.destroy(engine);
  }
  EngineHandle(const EngineHandle&) = delete;
  EngineHandle& operator=(const EngineHandle&) = delete;

  const mmt_engine_plugin_api& api;
  mmt_engine* engine = nullptr;
};

std::size_t element_count(const TensorDesc& tensor) {
  std::size_t count = 1;
  for (const int extent : tensor.shape) count *= static_cast<std::size_t>(extent > 0 ? extent : 0);
  return count;
}

class PluginSession final : public Session {
 public:
  PluginSession(std::shared_ptr<EngineHandle> owner, mmt_engine_session* session)
      : owner_(std::move(owner)), session_(session, owner_->api.close) {
    const char* json = nullptr;
    checked([&](mmt_engine_error* error) { return owner_->api.describe(session_.get(), &json, error); });
    desc_ = parse_engine_json<SessionDesc>(json, "description of a session");
  }

  const SessionDesc& desc() const override { return desc_; }
  mmt_engine_session* handle() const { return session_.get(); }

  RunSamples run(const RunRequest& request) override {
    if (request.runs < 1) throw Error(ErrorCode::kInvalidArgument, "runs must be at least 1");
    RunSamples samples;
    samples.run_us.resize(request.runs);
    if (request.profile) samples.kernel_us.resize(request.runs * desc_.kernels.size());
    mmt_engine_run run{};
    run.runs = request.runs;
    run.profile = request.profile ? 1 : 0;
    run.displace_bytes = request.displace_bytes;
    run.settling_runs = request.settling_runs;
    run.run_us = samples.run_us.data();
    run.kernel_us = request.profile ? samples.kernel_us.data() : nullptr;
    checked([&](mmt_engine_error* error) { return owner_->api.run(session_.get(), &run, error); });
    for (const double us : samples.run_us) samples.timed_us += us;
    samples.overhead_us = run.overhead_us;
    samples.steal_share = run.steal_share;
    samples.migrations = run.migrations;
    return samples;
  }

  std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs) override {
    std::vector<mmt_engine_array> from, to;
    // The interface has one array type; inputs are only read.
    for (const auto& input : inputs) from.push_back({const_cast<float*>(input.data()), input.size()});
    std::vector<std::vector<float>> outputs;
    for (const TensorDesc& output : desc_.outputs) outputs.emplace_back(element_count(output));
    for (auto& output : outputs) to.push_back({output.data(), output.size()});
    checked([&](mmt_engine_error* error) {
      return owner_->api.compute(session_.get(), from.data(), from.size(), to.data(), to.size(), error);
    });
    return outputs;
  }

 private:
  std::shared_ptr<EngineHandle> owner_;
  std::unique_ptr<mmt_engine_session, void (*)(mmt_engine_session*)> session_;
  SessionDesc desc_;
};

class PluginEngine final : public Engine {
 public:
  PluginEngine(const std::string& path, const EngineConfig& config)
      : handle_(std::make_shared<EngineHandle>(load_plugin(path))) {
    const std::string config_json = engine_config_json(config);
    checked([&](mmt_engine_error* error) { return handle_->api.create(config_json.c_str(), &handle_->engine, error); });
    const char* json = nullptr;
    checked([&](mmt_engine_error* error) { return handle_->api.facts(handle_->engine, &json, error); });
    facts_ = parse_engine_json<EngineFacts>(json, path + ": facts of the engine");
  }

  const EngineFacts& facts() const override { return facts_; }

  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override {
    const std::string options_json = nlohmann::json(options).dump();
    mmt_engine_session* session = nullptr;
    checked([&](mmt_engine_error* error) {
      return handle_->api.open(handle_->engine, path.c_str(), options_json.c_str(), &session, error);
    });
    return std::make_unique<PluginSession>(handle_, session);
  }

  ProcessMemory memory() override {
    ProcessMemory memory;
    checked([&](mmt_engine_error* error) {
      return handle_->api.memory(handle_->engine, &memory.resident_mib, &memory.peak_mib, error);
    });
    return memory;
  }

 private:
  ChainSamples do_run_chain(std::span<Session* const> sessions, int times) override {
    std::vector<mmt_engine_session*> links;
    std::size_t kernels = 0;
    for (Session* session : sessions) {
      const auto* link = dynamic_cast<const PluginSession*>(session);
      if (link == nullptr) throw Error(ErrorCode::kInvalidArgument, "a chain holds a session of another engine");
      links.push_back(link->handle());
      kernels += link->desc().kernels.size();
    }
    ChainSamples samples;
    samples.kernel_us.resize(static_cast<std::size_t>(times) * kernels);
    mmt_engine_chain chain{};
    chain.times = times;
    chain.kernel_us = samples.kernel_us.data();
    checked([&](mmt_engine_error* error) { return handle_->api.run_chain(links.data(), links.size(), &chain, error); });
    samples.timed_us = chain.timed_us;
    samples.waited_us = chain.waited_us;
    samples.overhead_us = chain.overhead_us;
    samples.steal_share = chain.steal_share;
    return samples;
  }

  std::shared_ptr<EngineHandle> handle_;
  EngineFacts facts_;
};

}  // namespace

std::unique_ptr<Engine> load_engine(const std::string& plugin_path, const EngineConfig& config) {
  return std::make_unique<PluginEngine>(plugin_path, config);
}

std::string engine_config_json(const EngineConfig& config) { return nlohmann::json(config).dump(); }

EngineConfig parse_engine_config(const std::string& json) {
  return parse_engine_json<EngineConfig>(json, "engine configuration");
}

}  // namespace mmt
