#include "mmt/kernel_memory.h"

#include <gtest/gtest.h>

namespace mmt {
namespace {

TEST(KernelMemory, WhatReadsWeightsOnceIsMostlyWeights) {
  KernelSignature kernel;
  kernel.type = "Convolution";
  kernel.weight_bytes = 1 << 20;
  kernel.output_bytes = 1 << 10;
  EXPECT_TRUE(is_mostly_weights(kernel));
  kernel.attributes = "pad_x=1,pad_y=1,kernel_x=3,kernel_y=3";
  EXPECT_TRUE(is_mostly_weights(kernel));
  kernel.output_bytes = 1 << 20;
  EXPECT_FALSE(is_mostly_weights(kernel));
}

KernelSignature convolution(const std::string& attributes, int channels, int out, int edge) {
  KernelSignature kernel;
  kernel.type = "Convolution";
  kernel.attributes = attributes;
  const int window = attributes.empty() ? 1 : 9;
  kernel.weight_bytes = std::int64_t{4} * channels * out * window;
  const std::string pixels = "," + std::to_string(edge) + "," + std::to_string(edge) + "]c4";
  kernel.text = "Convolution" + (attributes.empty() ? "" : "{" + attributes + "}") + " [1," + std::to_string(channels) +
                pixels + " -> [1," + std::to_string(out) + pixels;
  return kernel;
}

TEST(KernelMemory, WeightsAreReadAgainForEveryTile) {
  EXPECT_FALSE(rereads_weights(convolution("", 512, 1000, 1))) << "one pixel";
  EXPECT_FALSE(rereads_weights(convolution("", 512, 1000, 4))) << "one tile of pixels";
  EXPECT_TRUE(rereads_weights(convolution("", 512, 1000, 13)));
  EXPECT_TRUE(rereads_weights(convolution("", 128, 128, 13)));
  EXPECT_FALSE(is_mostly_weights(convolution("", 512, 1000, 13)));
  EXPECT_TRUE(is_mostly_weights(convolution("", 512, 1000, 4)));
  const std::string window = "kernel_x=3,kernel_y=3,pads=1x1x1x1";
  EXPECT_FALSE(rereads_weights(convolution(window, 64, 256, 13))) << "nine tiles of Winograd's form";
  EXPECT_TRUE(rereads_weights(convolution(window, 64, 192, 56)));
  KernelSignature other = convolution("", 512, 1000, 13);
  other.type = "Pooling";
  EXPECT_FALSE(rereads_weights(other));
  other = convolution("", 512, 1000, 13);
  other.text = "Convolution";
  EXPECT_FALSE(rereads_weights(other)) << "a damaged table";
}

}  // namespace
}  // namespace mmt
