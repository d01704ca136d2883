#include "mmt/kernel_memory.h"

#include <gtest/gtest.h>

namespace mmt {
namespace {

TEST(KernelMemory, WeightsWithoutScratchAreMostlyWeights) {
  KernelSignature kernel;
  kernel.type = "Convolution";
  kernel.weight_bytes = 1 << 20;
  kernel.output_bytes = 1 << 10;
  EXPECT_TRUE(is_mostly_weights(kernel));
  kernel.attributes = "pad_x=1,pad_y=1,kernel_x=3,kernel_y=3";
  EXPECT_FALSE(is_mostly_weights(kernel)) << "its scratch memory is another one in each model of a chain";
  kernel.attributes = "relu=1";
  EXPECT_TRUE(is_mostly_weights(kernel));
  kernel.output_bytes = 1 << 20;
  EXPECT_FALSE(is_mostly_weights(kernel));
}

}  // namespace
}  // namespace mmt
