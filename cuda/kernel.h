// What kernels and their launches share: counting blocks, moving four numbers at a time, sums over
// a warp or a block, and memory for intermediate results.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/backend.h"
#include "core/buffer.h"
#include "core/error.h"
#include "cuda/gpu.h"

namespace farsight {

inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr int kWarp = 32;

/// ceil(n / size)
__host__ __device__ constexpr int64_t blocks_of(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

/// A grid's extent x for n units of which a block does `size`. Throws if there are too many.
inline unsigned grid_x(int64_t n, int64_t size) {
  const int64_t blocks = blocks_of(n, size);
  check(blocks < (int64_t{1} << 31), "a kernel of ", blocks, " blocks; use a smaller batch");
  return static_cast<unsigned>(blocks);
}

/// A grid's extent y or z. Throws if it is too large for one.
inline unsigned grid_yz(int64_t n) {
  check(n < 65536, "a kernel over ", n,
        " heads, sequences or tiles; 65535 are the most, use fewer");
  return static_cast<unsigned>(n);
}

/// Neighbours in memory, moved at once.
template <int count>
struct alignas(count * sizeof(real)) Neighbours {
  real v[count];
};

using Four = Neighbours<4>;

/// Whether all pointers can be read as Four.
template <class... P>
bool aligned(const P*... pointers) {
  return (... && (reinterpret_cast<uintptr_t>(pointers) % alignof(Four) == 0));
}

__device__ inline Four load_four(const real* from) { return *reinterpret_cast<const Four*>(from); }
__device__ inline void store_four(real* to, const Four& x) { *reinterpret_cast<Four*>(to) = x; }

/// The row that a loader's threads bring `row`th. Of a tile with rows of 80 bytes two successive
/// rows meet in the same banks, and rows that are 4 apart do not: bits 0 and 2 change places.
__device__ constexpr int spread_row(int row) {
  return (row & ~5) | (row & 1) << 2 | (row >> 2 & 1);
}

struct Sum {
  template <class T>
  static __device__ T of(T a, T b) {
    return a + b;
  }
};
struct Largest {
  template <class T>
  static __device__ T of(T a, T b) {
    return a > b ? a : b;
  }
};

/// The sum (or maximum) over groups of `width` lanes, in every lane. All lanes have to call.
template <class Of, int width = kWarp, class T>
__device__ T over_lanes(T x) {
  for (int step = width / 2; step > 0; step /= 2)
    x = Of::of(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

/// The sum (or maximum) over a block of `threads`, in every thread. All threads have to call.
/// `slots` is shared memory of one T per warp; a barrier has to stand between two calls that share
/// it.
template <class Of, int threads, class T>
__device__ T over_block(T x, T* slots) {
  static_assert(threads % kWarp == 0 && threads / kWarp <= kWarp);
  constexpr int kWarps = threads / kWarp;
  x = over_lanes<Of>(x);
  if (threadIdx.x % kWarp == 0) slots[threadIdx.x / kWarp] = x;
  __syncthreads();
  T total = slots[0];
  for (int warp = 1; warp < kWarps; ++warp) total = Of::of(total, slots[warp]);
  return total;
}

/// Memory of the backend for intermediate results. Given back at the end of the scope, while
/// kernels may still use it: whoever gets it next comes later on the same stream.
template <class T>
class Scratch {
 public:
  Scratch(int64_t count, Backend& backend) : buffer_(count * sizeof(T), backend) {}
  T* data() { return static_cast<T*>(buffer_.data()); }

 private:
  Buffer buffer_;
};

}  // namespace farsight
