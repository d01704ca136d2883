// The C interface over MnnEngine: exceptions become codes and texts, structs become JSON.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "engine/engine_json.h"
#include "engine/mmt_engine.h"
#include "engine_mnn/engine.h"
#include "mmt/error.h"

struct mmt_engine {
  mmt::mnn::MnnEngine engine;
  std::string facts_json;
};

struct mmt_engine_session {
  std::unique_ptr<mmt::mnn::MnnSession> session;
  std::string desc_json;
};

namespace {

int report(mmt_engine_error* error, int code, const char* text) noexcept {
  if (error != nullptr && error->text != nullptr && error->capacity > 0) {
    const std::size_t size = std::min(std::strlen(text), error->capacity - 1);
    std::memcpy(error->text, text, size);
    error->text[size] = '\0';
  }
  return code;
}

/// Runs `body`; nothing that it throws crosses the interface.
template <class Body>
int guarded(mmt_engine_error* error, Body&& body) noexcept {
  try {
    body();
    return MMT_ENGINE_OK;
  } catch (const mmt::Error& failure) {
    return report(error, static_cast<int>(failure.code()) + 1, failure.what());
  } catch (const std::bad_alloc&) {
    return report(error, MMT_ENGINE_ENGINE, "out of memory");
  } catch (const std::exception& failure) {
    return report(error, MMT_ENGINE_ENGINE, failure.what());
  } catch (...) {
    return report(error, MMT_ENGINE_ENGINE, "unknown exception from MNN");
  }
}

int create(const char* config_json, mmt_engine** engine, mmt_engine_error* error) {
  return guarded(error, [&] {
    const auto config = mmt::parse_engine_json<mmt::EngineConfig>(config_json, "engine configuration");
    *engine = new mmt_engine{mmt::mnn::MnnEngine(config), {}};
  });
}

void destroy(mmt_engine* engine) { delete engine; }

int facts(mmt_engine* engine, const char** json, mmt_engine_error* error) {
  return guarded(error, [&] {
    engine->facts_json = nlohmann::json(engine->engine.facts()).dump();
    *json = engine->facts_json.c_str();
  });
}

int open(mmt_engine* engine, const char* path, const char* options_json, mmt_engine_session** session,
         mmt_engine_error* error) {
  return guarded(error, [&] {
    const auto options = mmt::parse_engine_json<mmt::OpenOptions>(options_json, "options of a session");
    *session = new mmt_engine_session{engine->engine.open(path, options), {}};
  });
}

void close(mmt_engine_session* session) { delete session; }

int describe(mmt_engine_session* session, const char** json, mmt_engine_error* error) {
  return guarded(error, [&] {
    // Names come from model files: whatever is no UTF-8 there must not make the description fail.
    session->desc_json =
        nlohmann::json(session->session->desc()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    *json = session->desc_json.c_str();
  });
}

int run(mmt_engine_session* session, mmt_engine_run* run, mmt_engine_error* error) {
  return guarded(error, [&] {
    const mmt::RunSamples samples =
        session->session->run({run->runs, run->profile != 0, run->displace_bytes, run->settling_runs});
    std::copy(samples.run_us.begin(), samples.run_us.end(), run->run_us);
    if (run->kernel_us != nullptr) std::copy(samples.kernel_us.begin(), samples.kernel_us.end(), run->kernel_us);
    run->overhead_us = samples.overhead_us;
    run->steal_share = samples.steal_share;
    run->migrations = samples.migrations;
  });
}

int run_chain(mmt_engine_session* const* sessions, size_t count, mmt_engine_chain* chain, mmt_engine_error* error) {
  return guarded(error, [&] {
    std::vector<mmt::mnn::MnnSession*> links;
    for (size_t i = 0; i < count; ++i) links.push_back(sessions[i]->session.get());
    const mmt::ChainSamples samples = mmt::mnn::MnnSession::run_chain(links, chain->times);
    std::copy(samples.kernel_us.begin(), samples.kernel_us.end(), chain->kernel_us);
    chain->timed_us = samples.timed_us;
    chain->waited_us = samples.waited_us;
    chain->overhead_us = samples.overhead_us;
    chain->steal_share = samples.steal_share;
  });
}

int compute(mmt_engine_session* session, const mmt_engine_array* inputs, size_t input_count, mmt_engine_array* outputs,
            size_t output_count, mmt_engine_error* error) {
  return guarded(error, [&] {
    std::vector<std::vector<float>> values;
    for (size_t i = 0; i < input_count; ++i) values.emplace_back(inputs[i].data, inputs[i].data + inputs[i].count);
    const std::vector<std::vector<float>> results = session->session->compute(values);
    if (results.size() != output_count) throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "wrong number of outputs");
    for (size_t i = 0; i < output_count; ++i) {
      if (results[i].size() != outputs[i].count)
        throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "wrong size of output " + std::to_string(i));
      std::copy(results[i].begin(), results[i].end(), outputs[i].data);
    }
  });
}

int memory(mmt_engine* engine, double* resident_mib, double* peak_mib, mmt_engine_error* error) {
  return guarded(error, [&] {
    const mmt::ProcessMemory memory = engine->engine.memory();
    *resident_mib = memory.resident_mib;
    *peak_mib = memory.peak_mib;
  });
}

constexpr mmt_engine_plugin_api kApi = {MMT_ENGINE_ABI_VERSION,
                                        sizeof(mmt_engine_plugin_api),
                                        create,
                                        destroy,
                                        facts,
                                        open,
                                        close,
                                        describe,
                                        run,
                                        run_chain,
                                        compute,
                                        memory};

}  // namespace

extern "C" __attribute__((visibility("default"))) const mmt_engine_plugin_api* mmt_engine_plugin(
    int32_t host_abi_version) {
  return host_abi_version == MMT_ENGINE_ABI_VERSION ? &kApi : nullptr;
}
