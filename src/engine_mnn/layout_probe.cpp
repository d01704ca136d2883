// Prints the layouts and signatures that the plugin relies on, one per line. Built twice: with our declarations and
// with MNN's headers.
#include <cstdio>
#include <typeinfo>

#include "engine_mnn/mnn_api.h"

namespace {

using MNN::Interpreter;
using MNN::OperatorInfo;
using MNN::Tensor;

template <class T>
alignas(T) unsigned char storage[sizeof(T) < 256 ? 256 : sizeof(T)];

/// Place of a data member in an object that is never constructed.
template <class T, class Member>
long offset(Member T::*member) {
  auto* object = reinterpret_cast<T*>(storage<T>);
  return static_cast<long>(reinterpret_cast<unsigned char*>(&(object->*member)) - storage<T>);
}

void print(const char* name, long value) { std::printf("%s %ld\n", name, value); }

/// Only types are named, so that nothing has to be linked.
template <class Function>
void print_type(const char* name) {
  std::printf("%s %s\n", name, typeid(Function).name());
}

void print_layouts() {
  using Inside = Tensor::InsideDescribe;
  using Native = Inside::NativeInsideDescribe;
  print("sizeof halide_type_t", sizeof(halide_type_t));
  print("halide_type_t.code", offset(&halide_type_t::code));
  print("halide_type_t.bits", offset(&halide_type_t::bits));
  print("halide_type_float", halide_type_float);
  print("halide_buffer_t.host", offset(&halide_buffer_t::host));
  print("halide_buffer_t.type", offset(&halide_buffer_t::type));
  const auto* tensor = reinterpret_cast<const Tensor*>(storage<Inside::Region>);
  print("Tensor.buffer", reinterpret_cast<const unsigned char*>(&tensor->buffer()) - storage<Inside::Region>);
  print("sizeof BackendConfig", sizeof(MNN::BackendConfig));
  print("BackendConfig.memory", offset(&MNN::BackendConfig::memory));
  print("BackendConfig.power", offset(&MNN::BackendConfig::power));
  print("BackendConfig.precision", offset(&MNN::BackendConfig::precision));
  print("BackendConfig.sharedContext", offset(&MNN::BackendConfig::sharedContext));
  print("Precision_Low_BF16", MNN::BackendConfig::Precision_Low_BF16);
  print("Precision_High", MNN::BackendConfig::Precision_High);
  print("Memory_Low", MNN::BackendConfig::Memory_Low);
  print("Power_Low", MNN::BackendConfig::Power_Low);
  print("sizeof ScheduleConfig", sizeof(MNN::ScheduleConfig));
  print("ScheduleConfig.type", offset(&MNN::ScheduleConfig::type));
  print("ScheduleConfig.numThread", offset(&MNN::ScheduleConfig::numThread));
  print("ScheduleConfig.path", offset(&MNN::ScheduleConfig::path));
  print("ScheduleConfig.backupType", offset(&MNN::ScheduleConfig::backupType));
  print("ScheduleConfig.backendConfig", offset(&MNN::ScheduleConfig::backendConfig));
  print("Path.mode", offset(&MNN::ScheduleConfig::Path::mode));
  print("sizeof Region", sizeof(Inside::Region));
  print("Region.src", offset(&Inside::Region::src));
  print("Region.dst", offset(&Inside::Region::dst));
  print("Region.size", offset(&Inside::Region::size));
  print("Region.origin", offset(&Inside::Region::origin));
  print("View.offset", offset(&Inside::View::offset));
  print("View.stride", offset(&Inside::View::stride));
  print("NativeInsideDescribe.dimensionFormat", offset(&Native::dimensionFormat));
  print("NativeInsideDescribe.usage", offset(&Native::usage));
  print("NativeInsideDescribe.regions", offset(&Native::regions));
  print("sizeof dimensionFormat", sizeof(Native::dimensionFormat));
  print("sizeof usage", sizeof(Native::usage));
}

void print_values() {
  print("MNN_FORWARD_CPU", MNN_FORWARD_CPU);
  print("MNN_FORWARD_METAL", MNN_FORWARD_METAL);
  print("MNN_FORWARD_CUDA", MNN_FORWARD_CUDA);
  print("MNN_FORWARD_OPENCL", MNN_FORWARD_OPENCL);
  print("MNN_FORWARD_OPENGL", MNN_FORWARD_OPENGL);
  print("MNN_FORWARD_VULKAN", MNN_FORWARD_VULKAN);
  print("MNN_FORWARD_NN", MNN_FORWARD_NN);
  print("MNN_FORWARD_USER_0", MNN_FORWARD_USER_0);
  print("MNN_FORWARD_USER_1", MNN_FORWARD_USER_1);
  print("MNN_FORWARD_HEXAGON", MNN_FORWARD_HEXAGON);
  print("MNN_FORWARD_MUSA", MNN_FORWARD_MUSA);
  print("MNN_FORWARD_CPU_EXTENSION", MNN_FORWARD_CPU_EXTENSION);
  print("TENSORFLOW", Tensor::TENSORFLOW);
  print("CAFFE", Tensor::CAFFE);
  print("MAP_TENSOR_READ", Tensor::MAP_TENSOR_READ);
  print("MEMORY", Interpreter::MEMORY);
  print("FLOPS", Interpreter::FLOPS);
  print("BACKENDS", Interpreter::BACKENDS);
  print("RESIZE_STATUS", Interpreter::RESIZE_STATUS);
  print("THREAD_NUMBER", Interpreter::THREAD_NUMBER);
  print("NO_ERROR", MNN::NO_ERROR);
}

void print_signatures() {
  print_type<decltype(&MNN::getVersion)>("getVersion");
  print_type<decltype(&MNN::TensorUtils::getDescribe)>("getDescribe");
  print_type<decltype(&Interpreter::createFromFile)>("createFromFile");
  print_type<decltype(&Interpreter::createFromBuffer)>("createFromBuffer");
  print_type<decltype(&Interpreter::destroy)>("Interpreter::destroy");
  print_type<decltype(static_cast<MNN::Session* (Interpreter::*)(const MNN::ScheduleConfig&)>(
      &Interpreter::createSession))>("createSession");
  print_type<decltype(static_cast<void (Interpreter::*)(Tensor*, const std::vector<int>&)>(
      &Interpreter::resizeTensor))>("resizeTensor");
  print_type<decltype(static_cast<void (Interpreter::*)(MNN::Session*)>(&Interpreter::resizeSession))>("resizeSession");
  print_type<decltype(&Interpreter::runSession)>("runSession");
  print_type<decltype(&Interpreter::runSessionWithCallBackInfo)>("runSessionWithCallBackInfo");
  print_type<decltype(&Interpreter::getSessionInfo)>("getSessionInfo");
  print_type<decltype(&Interpreter::getSessionInputAll)>("getSessionInputAll");
  print_type<decltype(&Interpreter::getSessionOutputAll)>("getSessionOutputAll");
  print_type<decltype(static_cast<Tensor* (*)(const std::vector<int>&, halide_type_t, void*, Tensor::DimensionType)>(
      &Tensor::create))>("Tensor::create");
  print_type<decltype(&Tensor::destroy)>("Tensor::destroy");
  print_type<decltype(&Tensor::copyFromHostTensor)>("copyFromHostTensor");
  print_type<decltype(&Tensor::copyToHostTensor)>("copyToHostTensor");
  print_type<decltype(&Tensor::shape)>("Tensor::shape");
  print_type<decltype(&Tensor::wait)>("Tensor::wait");
  print_type<decltype(&OperatorInfo::name)>("OperatorInfo::name");
  print_type<decltype(&OperatorInfo::type)>("OperatorInfo::type");
  print_type<decltype(&OperatorInfo::flops)>("OperatorInfo::flops");
}

}  // namespace

int main() {
  print_layouts();
  print_values();
  print_signatures();
  return 0;
}
