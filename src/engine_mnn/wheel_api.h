// Our own declarations of the calls of MNN's C++ API that the plugin makes, for builds against MNN's Python wheel,
// which ships the library but no headers.
//
// The names and types must be MNN's, because they make the symbol names that the wheel exports. Classes that MNN
// creates and destroys itself are declared without data. Structs that cross the boundary by reference (BackendConfig,
// ScheduleConfig) and the leading fields of Tensor must have MNN's layout: a test compares them with the real headers,
// and the engine refuses versions of MNN that this file was not checked with.
//
// To be compiled with the old libstdc++ ABI (-D_GLIBCXX_USE_CXX11_ABI=0), as the wheel is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

enum halide_type_code_t : std::uint32_t { halide_type_int = 0, halide_type_uint = 1, halide_type_float = 2 };

struct halide_type_t {
  halide_type_code_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct halide_buffer_t {
  std::uint64_t device;
  const void* device_interface;
  std::uint8_t* host;
  std::uint64_t flags;
  halide_type_t type;
  std::int32_t dimensions;
};

typedef enum {
  MNN_FORWARD_CPU = 0,
  MNN_FORWARD_METAL = 1,
  MNN_FORWARD_CUDA = 2,
  MNN_FORWARD_OPENCL = 3,
  MNN_FORWARD_NN = 5,
  MNN_FORWARD_OPENGL = 6,
  MNN_FORWARD_VULKAN = 7,
  MNN_FORWARD_USER_0 = 8,
  MNN_FORWARD_USER_1 = 9,
  MNN_FORWARD_HEXAGON = 10,
  MNN_FORWARD_CPU_EXTENSION = 13,
  MNN_FORWARD_MUSA = 15,
} MNNForwardType;

namespace MNN {

class Session;
enum ErrorCode : unsigned { NO_ERROR = 0 };

struct BackendConfig {
  enum MemoryMode { Memory_Normal, Memory_High, Memory_Low };
  enum PowerMode { Power_Normal, Power_High, Power_Low };
  enum PrecisionMode { Precision_Normal, Precision_High, Precision_Low, Precision_Low_BF16 };
  MemoryMode memory = Memory_Normal;
  PowerMode power = Power_Normal;
  PrecisionMode precision = Precision_Normal;
  void* sharedContext = nullptr;
};

struct ScheduleConfig {
  struct Path {
    enum Mode { Op = 0, Tensor = 1 };
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    Mode mode = Op;
  };
  std::vector<std::string> saveTensors;
  MNNForwardType type = MNN_FORWARD_CPU;
  int numThread = 4;
  Path path;
  MNNForwardType backupType = MNN_FORWARD_CPU;
  BackendConfig* backendConfig = nullptr;
};

class Tensor {
 public:
  struct InsideDescribe;
  enum DimensionType { TENSORFLOW = 0, CAFFE = 1 };
  enum MapType { MAP_TENSOR_WRITE = 0, MAP_TENSOR_READ = 1 };
  Tensor() = delete;
  static Tensor* create(const std::vector<int>& shape, halide_type_t type, void* data, DimensionType layout);
  static void destroy(Tensor* tensor);
  bool copyFromHostTensor(const Tensor* host);
  bool copyToHostTensor(Tensor* host) const;
  std::vector<int> shape() const;
  int wait(MapType type, bool finish);
  const halide_buffer_t& buffer() const { return buffer_; }
  halide_type_t getType() const { return buffer_.type; }

 private:
  halide_buffer_t buffer_;
};

class OperatorInfo {
 public:
  OperatorInfo() = delete;
  const std::string& name() const;
  const std::string& type() const;
  float flops() const;
};

using TensorCallBackWithInfo = std::function<bool(const std::vector<Tensor*>&, const OperatorInfo*)>;

const char* getVersion();

class Interpreter {
 public:
  enum SessionInfoCode { MEMORY = 0, FLOPS = 1, BACKENDS = 2, RESIZE_STATUS = 3, THREAD_NUMBER = 4 };
  Interpreter() = delete;
  static Interpreter* createFromFile(const char* path);
  static Interpreter* createFromBuffer(const void* data, std::size_t size);
  static void destroy(Interpreter* interpreter);
  Session* createSession(const ScheduleConfig& config);
  void resizeTensor(Tensor* tensor, const std::vector<int>& shape);
  void resizeSession(Session* session);
  ErrorCode runSession(Session* session) const;
  ErrorCode runSessionWithCallBackInfo(const Session* session, const TensorCallBackWithInfo& before,
                                       const TensorCallBackWithInfo& after, bool sync) const;
  bool getSessionInfo(const Session* session, SessionInfoCode code, void* value);
  const std::map<std::string, Tensor*>& getSessionInputAll(const Session* session) const;
  const std::map<std::string, Tensor*>& getSessionOutputAll(const Session* session) const;
};

}  // namespace MNN

#include "engine_mnn/describe_api.h"
