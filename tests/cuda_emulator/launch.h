// Launching a kernel.
#pragma once

#include <tuple>
#include <type_traits>

#include "host_api.h"
#include "language.h"

namespace emulator {

/// One argument of a kernel: where it lies, and whether it is a pointer.
struct Argument {
  const void* data;
  size_t bytes;
  bool is_pointer;
};

/// A kernel with its arguments.
struct Call {
  const void* kernel;
  const Argument* arguments;
  int argument_count;
  void (*run)(void* context);  // the kernel as one thread executes it
  void* context;
};

/// Executes the kernel, or records why it cannot be launched (see cudaGetLastError). Throws Error
/// if it does what is undefined on a device.
void launch(const Call& call, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream);

}  // namespace emulator

namespace farsight::gpu {

/// kernel<<<grid, block, shared_bytes, stream>>>(args...); an error shows in cudaGetLastError().
template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            std::type_identity_t<P>... args) {
  auto run = [&] { kernel(args...); };
  const emulator::Argument arguments[] = {{&args, sizeof(P), std::is_pointer_v<P>}...,
                                          {nullptr, 0, false}};
  emulator::launch({reinterpret_cast<const void*>(kernel), arguments, sizeof...(P),
                    [](void* context) { (*static_cast<decltype(run)*>(context))(); }, &run},
                   grid, block, shared_bytes, stream);
}

}  // namespace farsight::gpu
