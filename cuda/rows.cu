// Rows repeated and looked up: bias vectors and embeddings; twin of core/cpu/rows.cpp.
//
// All of it moves memory. Sums down the columns of a matrix (a bias vector's
// gradient) are made in two steps of fixed order: a block adds up a strip of rows, then the strips
// are added. An embedding's gradient is a scatter; float atomics would add in any order, so instead
// each warp owns 32 rows of the table, reads all ids (N of them, from the second-level cache) and
// adds the rows that are its own in the order in which they come.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

/// y (N, C): every row = b (C). A thread per column and some of the rows.
__global__ void __launch_bounds__(kThreads)
    repeat_rows(real* y, const real* b, int64_t N, int64_t C) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= C) return;
  const real value = b[c];
  for (int64_t n = blockIdx.y; n < N; n += gridDim.y) y[n * C + c] = value;
}

constexpr int64_t kStrip = 128;  // rows that a block adds up

/// sums of x's (N, C) strips of rows, to y (strips, C), or added to it. A block has 32 columns, a
/// warp every 8th row of the strip; neighbouring lanes read neighbouring columns.
template <bool add>
__global__ void __launch_bounds__(kThreads)
    strip_sums(real* y, const real* x, int64_t N, int64_t C) {
  SHARED(sums, real[kWarps][kWarp]);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const int64_t first = blockIdx.y * kStrip;
  real total = 0;
  if (c < C) {
    for (int64_t n = first + warp; n < min(N, first + kStrip); n += kWarps) total += x[n * C + c];
  }
  sums[warp][lane] = total;
  __syncthreads();
  if (warp == 0 && c < C) {
    for (int w = 1; w < kWarps; ++w) total += sums[w][lane];
    real& to = y[blockIdx.y * C + c];
    to = add ? to + total : total;
  }
}

/// y (N, C): row n = table row ids[n]. A warp per row.
__global__ void __launch_bounds__(kThreads)
    look_up(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C, bool fours) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (n >= N) return;
  const real* from = table + ids[n] * C;
  real* to = y + n * C;
  const int lane = threadIdx.x % kWarp;
  if (fours) {
    for (int64_t c = lane * 4; c < C; c += kWarp * 4) store_four(to + c, load_four(from + c));
  } else {
    for (int64_t c = lane; c < C; c += kWarp) to[c] = from[c];
  }
}

/// dtable[ids[n]] += dy[n], in the order of n. Warp w owns table rows 32 w … 32 w + 31; block row y
/// does columns 32 y … 32 y + 31.
__global__ void __launch_bounds__(kThreads)
    scatter_rows(real* dtable, const real* dy, const int32_t* ids, int64_t N, int64_t C) {
  const int lane = threadIdx.x % kWarp;
  const int64_t owned = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int64_t c = static_cast<int64_t>(blockIdx.y) * kWarp + lane;
  for (int64_t first = 0; first < N; first += kWarp) {
    const int32_t id = first + lane < N ? ids[first + lane] : -1;
    unsigned mine = __ballot_sync(kAllLanes, id >= 0 && id / kWarp == owned);
    while (mine) {
      const int source = __ffs(mine) - 1;
      mine &= mine - 1;
      const int64_t row = __shfl_sync(kAllLanes, id, source);
      if (c < C) dtable[row * C + c] += dy[(first + source) * C + c];
    }
  }
}

}  // namespace

void CudaBackend::broadcast_rows(real* y, const real* b, int64_t N, int64_t C) {
  if (N * C == 0) return;
  queue_.start(repeat_rows, dim3(grid_x(C, kThreads), grid_yz(std::min<int64_t>(N, 65535))),
               kThreads, 0, y, b, N, C);
}

void CudaBackend::broadcast_rows_backward(real* db, const real* dy, int64_t N, int64_t C) {
  if (N * C == 0) return;
  // Strips of rows, and strips of their sums, until one is left.
  Scratch<real> first(blocks_of(N, kStrip) * C, *this),
      second(blocks_of(N, kStrip * kStrip) * C, *this);
  real *from = first.data(), *to = second.data();
  const real* rows = dy;
  while (N > kStrip) {
    const int64_t strips = blocks_of(N, kStrip);
    check(strips <= 65535, N, " rows are too many; use a smaller batch");
    queue_.start(strip_sums<false>, dim3(grid_x(C, kWarp), static_cast<unsigned>(strips)), kThreads,
                 0, from, rows, N, C);
    rows = from;
    std::swap(from, to);
    N = strips;
  }
  queue_.start(strip_sums<true>, grid_x(C, kWarp), kThreads, 0, db, rows, N, C);
}

void CudaBackend::embedding(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C) {
  if (N * C == 0) return;
  queue_.start(look_up, grid_x(N, kWarps), kThreads, 0, y, table, ids, N, C,
               C % 4 == 0 && aligned(y, table));
}

void CudaBackend::embedding_backward(real* dtable, const real* dy, const int32_t* ids, int64_t N,
                                     int64_t V, int64_t C) {
  if (N * C == 0) return;
  queue_.start(scatter_rows, dim3(grid_x(V, kWarp * kWarps), grid_yz(blocks_of(C, kWarp))),
               kThreads, 0, dtable, dy, ids, N, C);
}

}  // namespace farsight
