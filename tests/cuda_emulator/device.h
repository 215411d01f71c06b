// What the device remembers between calls of the runtime API.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host_api.h"

namespace emulator {

/// The error of the device itself, if there is none that works.
cudaError_t device_error();

/// Records an error for cudaGetLastError() and returns it.
cudaError_t record(cudaError_t error);

/// An error of a kernel, which shows when somebody waits for it.
void break_device(cudaError_t error);
bool device_broken();
/// Shows it to who waits.
cudaError_t error_of_kernels();

/// Carries out the copies from pinned host memory, which a device reads at some time between the
/// call and when somebody waits for it: here, as late as can be. The first `count` ever, or all.
void finish_copies(uint64_t count = UINT64_MAX);

/// How much dynamic shared memory the kernel may have; 0 if cudaFuncSetAttribute was not called.
size_t allowed_shared(const void* kernel);

/// The name of the function at this address, as the program's symbols give it.
const char* kernel_name(const void* kernel);

}  // namespace emulator
