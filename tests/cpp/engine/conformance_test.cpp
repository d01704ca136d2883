// What every engine must do, checked on the engines of this build: MNN's wheel in a worker process and, where MNN_ROOT
// was given, the plugin against that SDK in this process. The model is the plugin's own self-test model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "engine/test_worker_process.h"
#include "engine_mnn/self_test_model.h"
#include "mmt/error.h"
#include "mmt/worker.h"

namespace mmt::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path build_folder() { return fs::path(own_program()).parent_path().parent_path().parent_path(); }

/// The engine, or nullptr with the reason why this build has none.
struct Made {
  std::unique_ptr<Engine> engine;
  std::string reason;
};

Made make_wheel_engine(const EngineConfig& config) {
  const fs::path stage = build_folder() / "stage";
  const fs::path plugin = stage / "mmt" / "mmt_engine_mnn_wheel.so";
  if (!fs::exists(plugin)) return {nullptr, plugin.string() + " was not built"};
  const bool has_core =
      std::any_of(fs::directory_iterator(stage / "mmt"), fs::directory_iterator(),
                  [](const auto& file) { return file.path().filename().string().rfind("_core", 0) == 0; });
  if (!has_core) return {nullptr, "the Python module mmt._core was not built"};
  const char* python = std::getenv("MMT_TEST_PYTHON");
  if (python == nullptr) return {nullptr, "MMT_TEST_PYTHON does not name a Python that has MNN's wheel"};
  WorkerOptions options;
  options.argv = {python,          "-m",       "mmt.engine.worker",       "--wheel", "--plugin",
                  plugin.string(), "--config", engine_config_json(config)};
  options.env = {"PYTHONPATH=" + stage.string()};
  return {start_worker_engine(options), ""};
}

Made make_sdk_engine(const EngineConfig& config) {
  const fs::path plugin = build_folder() / "plugins" / "mmt_engine_mnn_sdk.so";
  if (!fs::exists(plugin)) return {nullptr, "MNN_ROOT was not given to this build"};
  return {load_engine(plugin.string(), config), ""};
}

class EngineConformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    Made made = make({});
    if (made.engine == nullptr) GTEST_SKIP() << made.reason;
    engine_ = std::move(made.engine);
    folder_ = fs::temp_directory_path() / ("mmt_conformance_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    model_ = write("model.mnn", sizeof mnn::kSelfTestModel);
  }
  void TearDown() override {
    engine_.reset();
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  Made make(const EngineConfig& config) const {
    return GetParam() == "wheel" ? make_wheel_engine(config) : make_sdk_engine(config);
  }
  /// The first `size` bytes of the model as a file.
  std::string write(const std::string& name, std::size_t size) const {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(mnn::kSelfTestModel), static_cast<std::streamsize>(size));
    return path.string();
  }
  ErrorCode open_error(const std::string& path, const OpenOptions& options = {}) const {
    try {
      engine_->open(path, options);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(path));
      return error.code();
    }
    ADD_FAILURE() << path << " was opened";
    return ErrorCode::kInterrupted;
  }

  std::unique_ptr<Engine> engine_;
  fs::path folder_;
  std::string model_;
};

TEST_P(EngineConformance, FactsAreReadBack) {
  const EngineFacts& facts = engine_->facts();
  EXPECT_EQ(facts.name, "mnn");
  EXPECT_EQ(facts.backend, "cpu");
  EXPECT_EQ(facts.threads, 1);
  EXPECT_TRUE(facts.per_kernel);
  EXPECT_FALSE(facts.version.empty());
  EXPECT_THAT(facts.build, HasSubstr(GetParam()));
  const ProcessMemory memory = engine_->memory();
  EXPECT_GT(memory.resident_mib, 1);
  EXPECT_GE(memory.peak_mib, memory.resident_mib);
}

TEST_P(EngineConformance, DescribesKernelsTensorsAndCopies) {
  const auto session = engine_->open(model_, {});
  const SessionDesc& desc = session->desc();
  ASSERT_EQ(desc.kernels.size(), 3u);
  EXPECT_EQ(desc.kernels[1].type, "Convolution");
  EXPECT_EQ(desc.kernels[1].inputs.at(0).layout, Layout::kNc4hw4);
  EXPECT_EQ(desc.kernels[0].inputs.at(0).id, desc.inputs.at(0).id);
  EXPECT_EQ(desc.kernels[2].regions.size(), 2u);
  EXPECT_EQ(desc.inputs.at(0).name, "x");
  EXPECT_EQ(desc.outputs.at(0).shape, (std::vector<int>{1, 8, 4, 5}));
  EXPECT_GT(desc.mflops, 0);
}

TEST_P(EngineConformance, RunsWithoutFailureAndProfilesEveryKernel) {
  const auto session = engine_->open(model_, {});
  const RunSamples plain = session->run({.runs = 200});
  ASSERT_EQ(plain.run_us.size(), 200u);
  for (const double us : plain.run_us) EXPECT_GT(us, 0);
  EXPECT_TRUE(plain.kernel_us.empty());
  EXPECT_GT(plain.overhead_us, 0);
  EXPECT_LE(plain.steal_share, 1);
  const RunSamples profiled = session->run({.runs = 20, .profile = true});
  ASSERT_EQ(profiled.kernel_us.size(), 20 * session->desc().kernels.size());
  for (int run = 0; run < 20; ++run) {
    double sum = 0;
    for (std::size_t k = 0; k < 3; ++k) sum += profiled.kernel_us[run * 3 + k];
    EXPECT_LE(sum, profiled.run_us[run] + 0.1) << "kernels are parts of their run";
  }
  EXPECT_THROW(session->run({.runs = 0}), Error);
}

TEST_P(EngineConformance, RunsWithTheCachesOfAModel) {
  const auto session = engine_->open(model_, {});
  const std::vector<std::vector<float>> input{std::vector<float>(60, 0.5f)};
  const auto before = session->compute(input);
  const RunSamples samples =
      session->run({.runs = 6, .profile = true, .displace_bytes = std::int64_t{8} << 20, .settling_runs = 2});
  ASSERT_EQ(samples.run_us.size(), 6u);
  ASSERT_EQ(samples.kernel_us.size(), 6 * session->desc().kernels.size());
  // Four times 8 MiB are read outside the timed part: 13 us each at 640 GB/s, which no processor reaches.
  EXPECT_GT(samples.overhead_us, 4 * 13);
  EXPECT_EQ(session->compute(input), before) << "what is read stays as it is";
}

TEST_P(EngineConformance, RunsChainsOfSessions) {
  const auto a = engine_->open(model_, {}), b = engine_->open(model_, {});
  const std::vector<Session*> links{a.get(), b.get(), a.get()};
  const ChainSamples chain = engine_->run_chain(links, 4);
  ASSERT_EQ(chain.kernel_us.size(), 4u * 3 * a->desc().kernels.size());
  double sum = 0;
  for (const float us : chain.kernel_us) {
    EXPECT_GT(us, 0);
    sum += us;
  }
  EXPECT_LE(sum, chain.timed_us + 1) << "kernels are parts of their runs";
  EXPECT_GE(chain.overhead_us, 0);
  EXPECT_LE(chain.steal_share, 1);
  EXPECT_GE(chain.waited_us, 0);
  EXPECT_THROW(engine_->run_chain(links, 0), Error);
  EXPECT_THROW(engine_->run_chain({}, 1), Error);
}

TEST_P(EngineConformance, ComputesTheSameAfterRuns) {
  const auto session = engine_->open(model_, {});
  const std::vector<std::vector<float>> input{std::vector<float>(60, 0.5f)};
  const auto before = session->compute(input);
  session->run({.runs = 5});
  EXPECT_EQ(session->compute(input), before) << "inputs are written anew, not reused";
  ASSERT_EQ(before.at(0).size(), 160u);
  EXPECT_EQ(before[0][159], 0.5f);
  EXPECT_EQ(before[0][0], 0) << "channel 0: (-5 + 2 - 2) / 8 * 0.5 - 2 / 4 is below zero";
  EXPECT_NEAR(before[0][60], (3 - 1 - 5) / 8.0 * 0.5 + 0.25, 1e-6) << "channel 3";
  EXPECT_THROW(session->compute({}), Error);
  EXPECT_THROW(session->compute({{1, 2, 3}}), Error);
}

TEST_P(EngineConformance, ResizesToTheGivenShape) {
  OpenOptions options;
  options.inputs.push_back({.name = "x", .shape = {2, 3, 6, 7}});
  const auto session = engine_->open(model_, options);
  EXPECT_EQ(session->desc().outputs.at(0).shape, (std::vector<int>{2, 8, 6, 7}));
  EXPECT_EQ(session->run({.runs = 3}).run_us.size(), 3u);
}

TEST_P(EngineConformance, RefusesWhatIsWrongAndNamesThePath) {
  EXPECT_EQ(open_error((folder_ / "absent.mnn").string()), ErrorCode::kNotFound);
  EXPECT_EQ(open_error(write("empty.mnn", 0)), ErrorCode::kEngine);
  EXPECT_EQ(open_error(write("half.mnn", sizeof mnn::kSelfTestModel / 2)), ErrorCode::kEngine);
  OpenOptions options;
  options.inputs.push_back({.name = "x", .shape = {1, 4, 4, 5}});
  EXPECT_EQ(open_error(model_, options), ErrorCode::kEngine) << "the convolution wants 3 channels";
  options.inputs[0].shape = {3, 4, 5};
  EXPECT_EQ(open_error(model_, options), ErrorCode::kInvalidArgument);
  options.inputs[0] = {.name = "nobody", .shape = {}};
  EXPECT_EQ(open_error(model_, options), ErrorCode::kInvalidArgument);
  EXPECT_NO_THROW(engine_->open(model_, {})->run({}));
}

TEST_P(EngineConformance, ManySessionsLiveTogether) {
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 20; ++i) sessions.push_back(engine_->open(model_, {}));
  for (int round = 0; round < 3; ++round)
    for (const auto& session : sessions) EXPECT_EQ(session->run({.runs = 2}).run_us.size(), 2u);
}

TEST_P(EngineConformance, RunsTheThreadsItWasAskedFor) {
  const auto engine = make({.threads = 2}).engine;
  EXPECT_EQ(engine->facts().threads, 2);
  // Every processor reads memory of its own, in which the engine's threads must not be held up.
  const auto session = engine->open(model_, {});
  const std::vector<std::vector<float>> input{std::vector<float>(60, 0.5f)};
  const auto before = session->compute(input);
  for (int visit = 0; visit < 20; ++visit) {
    const RunSamples samples =
        session->run({.runs = 4, .profile = true, .displace_bytes = 1 << 20, .settling_runs = 1});
    ASSERT_EQ(samples.run_us.size(), 4u);
    EXPECT_GT(samples.overhead_us, 0);
  }
  EXPECT_EQ(session->compute(input), before);
  EXPECT_EQ(engine->open(model_, {})->run({.runs = 20, .profile = true}).kernel_us.size(), 60u);
}

TEST_P(EngineConformance, RefusesConfigurationsThatItCannotServe) {
  const auto refused = [&](const EngineConfig& config) {
    try {
      make(config);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInterrupted;
  };
  EXPECT_EQ(refused({.backend = "abacus"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused({.threads = 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused({.threads = 1000}), ErrorCode::kUnsupported);
  EXPECT_EQ(refused({.precision = "perfect"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused({.cpus = {100000}}), ErrorCode::kInvalidArgument);
}

TEST_P(EngineConformance, NeverRunsOnAnotherBackendThanTheOneAskedFor) {
  for (const std::string name : {"metal", "cuda", "opencl", "opengl", "vulkan", "nn", "coreml", "nnapi", "hiai",
                                 "tensorrt", "hexagon", "musa"}) {
    try {
      const Made made = make({.backend = name});
      EXPECT_NE(made.engine->facts().backend, "cpu") << name;  // This build of MNN has it.
      EXPECT_FALSE(made.engine->facts().per_kernel) << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << name;
      EXPECT_THAT(error.what(), HasSubstr("backend '" + name + "' is not in this build of MNN"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineConformance, ::testing::Values("wheel", "sdk"),
                         [](const auto& param) { return param.param; });

TEST(LoadEngine, RefusesFilesThatAreNoPlugins) {
  try {
    load_engine("/no/such/plugin.so", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("/no/such/plugin.so"));
  }
  try {
    load_engine(own_program(), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace mmt::testing
