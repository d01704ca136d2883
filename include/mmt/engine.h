// The engine interface: what the meter knows of the program that runs `.mnn` models.
//
// Implementations: the plugin host (a shared library behind the C interface of src/engine/mmt_engine.h), the worker
// proxy (the same engine in a child process, so that a crash or a hang costs one operator), and the fake engine of the
// tests. None of them prints. An object of this interface is used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mmt/error.h"

namespace mmt {

/// How the engine is to run. Two different configurations never share rows of a table.
struct EngineConfig {
  std::string backend = "cpu";     ///< cpu, opencl, vulkan, cuda, metal, …; an error where the build lacks it.
  int threads = 1;                 ///< Asked for; the effective number is read back (EngineFacts::threads).
  std::string precision = "high";  ///< normal, high, low, low_bf16.
  std::string memory = "normal";   ///< normal, high, low.
  std::string power = "normal";    ///< normal, high, low.
  std::vector<int> cpus;           ///< Processors to run on; empty: wherever the system puts it.
};

/// What really runs, read back from the engine.
struct EngineFacts {
  std::string name;        ///< "mnn", "fake"
  std::string version;     ///< "3.6.1"
  std::string build;       ///< "wheel" or "sdk", plus a short hash of the library file.
  std::string backend;     ///< Effective backend.
  int threads = 1;         ///< Effective number of threads.
  bool per_kernel = true;  ///< False where per-kernel times are meaningless (asynchronous backends).
  std::string library;     ///< Path of the engine's library; "" unknown.
  /// "MNN_AVX2=ON", one a line: the options in the build folder that the engine's library came from; "" unknown.
  std::string build_flags;
};

/// Name and value of each option in EngineFacts::build_flags, in their order.
std::vector<std::pair<std::string, std::string>> build_flag_list(const std::string& build_flags);
/// For people: the options that are on and those that are no switches, or that they are unknown.
std::string build_flags_text(const std::string& build_flags);

/// Whether a library of MNN holds code for an instruction set, judged by the names of its functions.
struct CodePath {
  std::string name;   ///< "avx2", "avx512", "arm82", …
  std::string found;  ///< "yes", "no", or "unknown" where names are stripped or the file is unreadable.
};
std::vector<CodePath> code_paths(const std::string& library);

/// Backends that can be named in EngineConfig::backend, and are worth a try.
const std::vector<std::string>& backend_names();

/// Memory layout of a tensor inside the engine.
enum class Layout : std::uint8_t { kNchw = 0, kNhwc = 1, kNc4hw4 = 2, kUnknown = 3 };
const char* layout_name(Layout layout) noexcept;  ///< "nchw", "nhwc", "nc4hw4", "unknown"

struct TensorDesc {
  std::int64_t id = 0;     ///< Same id: same tensor, within one session.
  std::vector<int> shape;  ///< Logical shape, batch first.
  Layout layout = Layout::kNchw;
  std::string dtype;      ///< "float32", "int32", "int8", "uint8", …
  std::string name;       ///< Only for inputs and outputs of the model.
  bool constant = false;  ///< Data of the model (weights, indices), not an activation.
};

/// One copy that a Raster kernel makes: `size` elements along three axes, from `origin` to the kernel's output.
/// Offsets and strides are in elements of the logical tensor.
struct RegionDesc {
  std::int64_t origin = 0;  ///< TensorDesc::id of the source.
  int size[3] = {1, 1, 1};
  int src_offset = 0;
  int src_stride[3] = {1, 1, 1};
  int dst_offset = 0;
  int dst_stride[3] = {1, 1, 1};
};

/// The type of a kernel that the engine does not list: where the next kernel belongs to another of its backends, it
/// copies what that reads (MNN: plain C++ code beside code for vector units, which packs other numbers of channels).
/// It has the name of that next kernel.
inline constexpr char kCopyType[] = "Copy";

/// One command of the engine's schedule, in execution order.
struct KernelDesc {
  std::string name;   ///< The engine's name of the command, for example "/conv/Conv_output_0_raster_0".
  std::string type;   ///< "Convolution", "Raster", "BinaryOp", "While", …
  double mflops = 0;  ///< The engine's own estimate.
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  std::vector<RegionDesc> regions;  ///< Raster only.
};

/// A model as the engine will run it. Obtained without executing any kernel.
struct SessionDesc {
  std::vector<KernelDesc> kernels;
  std::vector<TensorDesc> inputs;   ///< Ordered by name: the engine does not keep the model's own order.
  std::vector<TensorDesc> outputs;  ///< Ordered by name.
  double memory_mib = 0;            ///< The engine's own figure for the session.
  double mflops = 0;
  /// Kernels that the engine's CPU computes although another backend was asked for, because that lacks them.
  int cpu_kernels = 0;
};

/// Share of an input's range that neighbours have in common where nothing else is said.
inline constexpr double kUsualShared = 0.35;

/// How one input is filled before every run.
struct InputSpec {
  std::string name;        ///< Empty: by position.
  std::vector<int> shape;  ///< Empty: as in the model. Otherwise the session is resized to it.
  /// Values in [low, high). Integer inputs: whole numbers in [low, high); with this default range they are 0, which is
  /// a legal index into anything.
  double low = -1.0, high = 1.0;
  /// Share of that range that neighbours have in common, so that signs come in runs, as inside a network
  /// (docs/engine.md); 0: each value is its own. Integers are always their own.
  double shared = kUsualShared;
};

struct OpenOptions {
  std::vector<InputSpec> inputs;  ///< Empty: the model's own shapes and the default range.
  std::uint64_t seed = 1;
  /// Each value is its own whatever the inputs say, as whole models are fed.
  bool independent = false;
};

/// Samples of several runs of one session, one after another, each with fresh input that is written outside the timed
/// part.
struct RunSamples {
  std::vector<double> run_us;    ///< Wall time of each run. Size: runs.
  std::vector<float> kernel_us;  ///< Profiled runs only: runs × kernels, row by row. Wall time of each kernel.
  double timed_us = 0;           ///< Sum of run_us.
  double overhead_us = 0;        ///< Wall time of the call that is not in run_us (filling inputs, bookkeeping).
  double steal_share =
      0;  ///< Share of the time that the hypervisor took from this machine's CPUs meanwhile (0…1), -1 where unreadable.
  int migrations = 0;  ///< How often the thread changed the CPU, -1 where unreadable.
};

struct RunRequest {
  int runs = 1;
  bool profile = false;  ///< Per-kernel times through callbacks around every kernel.
  /// Not 0: the caches are made what a kernel finds inside a model, outside the timed part. Before the first run the
  /// memory of the session's activations is written, contents kept; before every run, so many bytes of other memory
  /// are read, as many as the caches before the last one hold (with several threads by each processor), and
  /// activations that these caches can hold are written again. Before a first run nothing is read, and activations
  /// that these caches can hold are written once, where other sessions have displaced as much since this one ran. 0:
  /// runs follow one another, as a user makes them. Where that memory lies is looked up in the first run of a session's
  /// first such request (one of its own where kernels are timed): that run counts for nothing.
  std::int64_t displace_bytes = 0;
  int settling_runs = 0;  ///< After the first: before so many no other memory is read, as nobody asks what they take.
};

/// Times of a chain: sessions run one after another, several times over, every run profiled.
struct ChainSamples {
  std::vector<float> kernel_us;  ///< times × kernels of all sessions in order, time by time.
  double timed_us = 0;           ///< Wall time of the runs.
  double waited_us =
      0;  ///< Wall time that the loops take besides: threads wake up, inputs and activations are written.
  double overhead_us = 0;  ///< Wall time of the call that is in neither.
  double steal_share = 0;  ///< As in RunSamples.
};

/// One opened model. Closing (the destructor) frees its memory in the engine.
class Session {
 public:
  virtual ~Session() = default;
  virtual const SessionDesc& desc() const = 0;
  /// Throws Error(kEngine) with the engine's code where a run fails, kCrashed or kTimeout where the worker is lost.
  virtual RunSamples run(const RunRequest& request) = 0;
  /// run() in two steps, so that an engine in another process goes on with the next run while the answer to this one is
  /// read: it never sleeps between two models. All runs of an engine's sessions finish in the order in which they were
  /// started, and only runs may be started while others are unfinished. `start` throws only where the engine was lost
  /// before; everything else is thrown by `finish`. Where a worker is lost, the first run whose `finish` throws
  /// kCrashed or kTimeout is the one that was at work. Here: everything happens in finish().
  virtual void start(const RunRequest& request) { started_.push_back(request); }
  virtual RunSamples finish() {
    if (started_.empty()) throw Error(ErrorCode::kInvalidArgument, "finish() without start()");
    const RunRequest request = started_.front();
    started_.pop_front();
    return run(request);
  }
  /// Runs once on the given values (one vector per input, as float) and returns the outputs as float. For tests and
  /// self-tests.
  virtual std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs) = 0;

 private:
  std::deque<RunRequest> started_;
};

/// Memory of a process in MiB; 0 where unreadable.
struct ProcessMemory {
  double resident_mib = 0;
  double peak_mib = 0;  ///< The most since it was asked for last; where the system cannot tell that, since its start.
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineFacts& facts() const = 0;
  /// Throws Error(kEngine) where the engine refuses the model (and names the path), kNotFound, kCrashed, kTimeout.
  virtual std::unique_ptr<Session> open(const std::string& model_path, const OpenOptions& options) = 0;
  /// Runs sessions of this engine one after another, `times` times over, every run profiled; a session may stand at
  /// several places. Nothing lies between two runs that is not in a model: no message to another process, but inputs
  /// are written anew, and engines on CPUs bring the memory of a session's activations as near as the kernels before
  /// would. No run may be started and unfinished. Throws what Session::run() throws, and Error(kInvalidArgument) for no
  /// session, no time or a session of another engine.
  ChainSamples run_chain(std::span<Session* const> sessions, int times);
  /// Starts again after kCrashed or kTimeout; every session of before is gone. A no-op for engines that cannot be lost.
  virtual void restart() {}
  /// True where started runs are made by another process while this one goes on (Session::start). Whoever wants
  /// undisturbed times then sleeps while they are made, instead of waking up for every answer.
  virtual bool runs_apart() const { return false; }
  /// Of the process that runs the models.
  virtual ProcessMemory memory() { return {}; }

 protected:
  /// At least one session and one time. Here: by Session::run().
  virtual ChainSamples do_run_chain(std::span<Session* const> sessions, int times);
};

}  // namespace mmt
