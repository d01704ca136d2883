// Which kernel reads what: tensors are numbered inputs first, then outputs, then what lies between.
#include "kernel/data_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mmt {
namespace {

using testing::ElementsAre;

TensorDesc tensor(std::int64_t id, std::vector<int> shape, bool constant = false) {
  TensorDesc desc;
  desc.id = id;
  desc.shape = std::move(shape);
  desc.constant = constant;
  return desc;
}

KernelDesc kernel(std::vector<TensorDesc> inputs, std::vector<TensorDesc> outputs) {
  KernelDesc desc;
  desc.inputs = std::move(inputs);
  desc.outputs = std::move(outputs);
  return desc;
}

TEST(DataFlow, NumbersInputsOutputsAndTheRest) {
  SessionDesc session;
  session.inputs = {tensor(70, {4})};
  session.outputs = {tensor(80, {4})};
  session.kernels = {kernel({tensor(70, {4})}, {tensor(90, {4})}),
                     kernel({tensor(90, {4}), tensor(5, {4}, true), tensor(70, {4})}, {tensor(80, {4})})};
  EXPECT_THAT(data_flow(session), ElementsAre("0>2", "2,-1,0>1"));
}

TEST(DataFlow, WhatHasNoSourceIsConstant) {
  SessionDesc session;
  session.inputs = {tensor(1, {8})};
  session.outputs = {tensor(2, {8})};
  session.kernels = {kernel({tensor(1, {8}), tensor(9, {3, 3})}, {tensor(2, {8})})};
  EXPECT_THAT(data_flow(session), ElementsAre("0,-1>1"));
}

}  // namespace
}  // namespace mmt
