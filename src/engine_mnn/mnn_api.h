// The one door to MNN: real headers in builds against an SDK, our own declarations in builds against the wheel.
#pragma once

#ifdef MMT_MNN_SDK
#include <MNN/Interpreter.hpp>
#include <MNN/Tensor.hpp>
#ifdef MMT_MNN_INTERNAL_HEADERS
#include <core/TensorUtils.hpp>
#else
#include "engine_mnn/describe_api.h"
#endif
#else
#include "engine_mnn/wheel_api.h"
#endif
