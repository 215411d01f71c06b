// The stream that everything runs on, and launches with their errors checked.
#pragma once

#include <cstddef>

#include "cuda/gpu.h"

namespace farsight {

/// Throws Error with what went wrong and what to do, unless `code` is success.
void require_ok(cudaError_t code);

/// Lets a kernel use more dynamic shared memory than the 48 KiB that every device allows unasked.
void allow_shared(const void* kernel, size_t bytes);

class Queue {
 public:
  explicit Queue(cudaStream_t stream = nullptr) : stream_(stream) {}
  cudaStream_t stream() const { return stream_; }

  /// Starts a kernel behind what was started before. Throws Error if it cannot start.
  template <class... P>
  void start(void (*kernel)(P...), dim3 grid, int threads, size_t shared_bytes,
             std::common_type_t<P>... args) const {
    constexpr size_t kAllowedUnasked = 48 * 1024;
    if (shared_bytes > kAllowedUnasked)
      allow_shared(reinterpret_cast<const void*>(kernel), shared_bytes);
    gpu::launch(kernel, grid, dim3(threads), shared_bytes, stream_, args...);
    require_ok(cudaGetLastError());
  }

 private:
  cudaStream_t stream_;
};

}  // namespace farsight
