#include "predict/activations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mmt {
namespace {

KernelSignature moving(std::int64_t input_bytes, std::int64_t output_bytes) {
  KernelSignature kernel;
  kernel.input_bytes = input_bytes;
  kernel.output_bytes = output_bytes;
  return kernel;
}

TEST(TouchedMemory, OnlyWhatReachesBeyondWhatWasUsedBeforeIsUsedFirst) {
  TouchedMemory memory;
  EXPECT_EQ(memory.first_use(moving(100, 50)), 50) << "not the input, which was just written";
  EXPECT_EQ(memory.first_use(moving(50, 100)), 0) << "the memory of the input before";
  EXPECT_EQ(memory.first_use(moving(100, 200)), 150);
  EXPECT_EQ(memory.first_use(moving(200, 100)), 0);
  EXPECT_EQ(memory.first_use(moving(0, 0)), 0);
  EXPECT_EQ(memory.first_use(moving(1000, 10)), 10);
}

TEST(TouchedMemory, AllInAllNoMoreThanTheLargestKernelMoves) {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 100; ++trial) {
    TouchedMemory memory;
    std::int64_t sum = 0, largest = 0;
    for (int k = 0; k < 20; ++k) {
      const KernelSignature kernel =
          moving(static_cast<std::int64_t>(random() % 1000), static_cast<std::int64_t>(random() % 1000));
      const std::int64_t first = memory.first_use(kernel);
      EXPECT_GE(first, 0);
      EXPECT_LE(first, kernel.output_bytes);
      sum += first;
      largest = std::max(largest, kernel.input_bytes + kernel.output_bytes);
    }
    EXPECT_LE(sum, largest);
  }
}

TEST(TensorAges, CountFromTheLastUse) {
  TensorAges ages;
  ages.add({}, 10, 1);
  EXPECT_EQ(ages.since(0).bytes, 0) << "just written";
  ages.add({0}, 20, 2);
  ages.add({1}, 30, 3);
  EXPECT_EQ(ages.since(0).bytes, 30) << "kernel 1 read it";
  EXPECT_EQ(ages.since(0).us, 3);
  EXPECT_EQ(ages.since(1).bytes, 0);
  ages.add({0}, 40, 4);
  EXPECT_EQ(ages.since(0).bytes, 0);
  EXPECT_EQ(ages.since(1).bytes, 40);
  EXPECT_EQ(ages.since(2).us, 4);
}

}  // namespace
}  // namespace mmt
