// Stands in for the CUDA toolkit's header of this name where an ordinary compiler compiles the
// kernels: CUDA's language, and a runtime that executes kernels on the CPU, each CUDA thread as a
// fibre, and reports what would go wrong on a device (see emulator.h).
#pragma once

#include "host_api.h"
#include "intrinsics.h"
#include "language.h"
#include "launch.h"
#include "tensor_core.h"
#include "warp.h"
