// Our own declarations of what MNN keeps behind a tensor: its layout, its use, and the copies of a Raster command.
//
// MNN's headers for this are internal, so wheels and installed SDKs do not have them. Only the leading fields are
// declared, and only ever read through pointers that MNN returns. The engine's self-test reads all of them on a model
// with known results before anything else does, and where the real headers are at hand a test compares the offsets.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace MNN {

struct Command;

struct Tensor::InsideDescribe {
  struct View {
    std::int32_t offset;
    std::int32_t stride[3];
  };
  struct Region {
    View src;
    View dst;
    std::int32_t size[3];
    Tensor* origin;
  };
  struct NativeInsideDescribe {
    std::int32_t dimensionFormat;  // 0 NCHW, 1 NHWC, 2 NC4HW4
    std::int32_t memoryType;
    std::weak_ptr<Command> rasterCommand;
    std::int32_t useCount;
    std::int32_t usage;  // 3: constant, 4: trainable
    std::vector<Region> regions;
  };
};

class TensorUtils {
 public:
  static Tensor::InsideDescribe::NativeInsideDescribe* getDescribe(const Tensor* tensor);
};

}  // namespace MNN
