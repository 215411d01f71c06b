// Layer normalisation (Ba et al. 2016), a warp per row; twin of core/cpu/norm.cpp.
//
// With x̂ = (x - mean) rstd and g = gain dy, the derivative of a row of C elements is
//   dx = rstd (g - mean(g) - x̂ mean(g x̂)).
// A row of some thousand elements stays in the caches between its passes, so that memory moves 8
// bytes per element forward and 24 backward (dx, then the sums) in float. dgain and dshift are sums
// down the columns: each block adds up its rows (a fixed number of blocks, rows dealt out in
// order), then a second kernel adds the blocks, so that the order of the sums is fixed.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

__global__ void __launch_bounds__(kThreads)
    normalise(real* y, real* mean, real* rstd, Bf16* rounded, const real* x, const real* gain,
              const real* shift, int64_t N, int64_t C, real epsilon) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (n >= N) return;
  const int lane = threadIdx.x % kWarp;
  const real* row = x + n * C;
  real total = 0;
  for (int64_t c = lane; c < C; c += kWarp) total += row[c];
  const real m = over_lanes<Sum>(total) / C;
  // A second pass: E[x²] - m² would cancel.
  real squares = 0;
  for (int64_t c = lane; c < C; c += kWarp) squares += (row[c] - m) * (row[c] - m);
  const real r = 1 / std::sqrt(over_lanes<Sum>(squares) / C + epsilon);
  for (int64_t c = lane; c < C; c += kWarp) {
    const real value = (row[c] - m) * r * gain[c] + shift[c];
    y[n * C + c] = value;
    if (rounded) store_rounded<1>(rounded, n, static_cast<int>(c), static_cast<int>(C), &value);
  }
  if (lane == 0) {
    mean[n] = m;
    rstd[n] = r;
  }
}

__global__ void __launch_bounds__(kThreads)
    normalise_backward(real* dx, const real* dy, const real* x, const real* gain, const real* mean,
                       const real* rstd, int64_t N, int64_t C) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (n >= N) return;
  const int lane = threadIdx.x % kWarp;
  const real *x_row = x + n * C, *dy_row = dy + n * C;
  const real m = mean[n], r = rstd[n];
  real sum_g = 0, sum_gx = 0;
  for (int64_t c = lane; c < C; c += kWarp) {
    const real g = gain[c] * dy_row[c];
    sum_g += g;
    sum_gx += g * (x_row[c] - m) * r;
  }
  const real mean_g = over_lanes<Sum>(sum_g) / C, mean_gx = over_lanes<Sum>(sum_gx) / C;
  for (int64_t c = lane; c < C; c += kWarp)
    dx[n * C + c] += r * (gain[c] * dy_row[c] - mean_g - (x_row[c] - m) * r * mean_gx);
}

/// partial (gridDim.y, 2, C): what the rows of each block add to dgain and to dshift. A block has
/// 32 columns, a warp every 8th of the rows.
__global__ void __launch_bounds__(kThreads)
    gain_shift_sums(real* partial, const real* dy, const real* x, const real* mean,
                    const real* rstd, int64_t N, int64_t C) {
  SHARED(gains, real[kWarps][kWarp]);
  SHARED(shifts, real[kWarps][kWarp]);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const int64_t rows = blocks_of(N, gridDim.y), first = blockIdx.y * rows;
  real gain = 0, shift = 0;
  if (c < C) {
    for (int64_t n = first + warp; n < min(N, first + rows); n += kWarps) {
      gain += dy[n * C + c] * (x[n * C + c] - mean[n]) * rstd[n];
      shift += dy[n * C + c];
    }
  }
  gains[warp][lane] = gain;
  shifts[warp][lane] = shift;
  __syncthreads();
  if (warp == 0 && c < C) {
    for (int w = 1; w < kWarps; ++w) {
      gain += gains[w][lane];
      shift += shifts[w][lane];
    }
    partial[(blockIdx.y * 2) * C + c] = gain;
    partial[(blockIdx.y * 2 + 1) * C + c] = shift;
  }
}

/// Adds the partial sums of `blocks` blocks. A thread per column.
__global__ void __launch_bounds__(kThreads)
    add_gain_shift(real* dgain, real* dshift, const real* partial, int blocks, int64_t C) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= C) return;
  real gain = 0, shift = 0;
  for (int block = 0; block < blocks; ++block) {
    gain += partial[(block * 2) * C + c];
    shift += partial[(block * 2 + 1) * C + c];
  }
  if (dgain) dgain[c] += gain;
  if (dshift) dshift[c] += shift;
}

}  // namespace

void CudaBackend::layer_norm(real* y, real* mean, real* rstd, RoundedCopy* rounded, const real* x,
                             const real* gain, const real* shift, int64_t N, int64_t C,
                             real epsilon) {
  if (N == 0) return;
  queue_.start(normalise, grid_x(N, kWarps), kThreads, 0, y, mean, rstd, to_round(rounded, N, C), x,
               gain, shift, N, C, epsilon);
}

void CudaBackend::layer_norm_backward(real* dx, real* dgain, real* dshift, const real* dy,
                                      const real* x, const real* gain, const real* mean,
                                      const real* rstd, int64_t N, int64_t C) {
  if (N == 0) return;
  if (dx)
    queue_.start(normalise_backward, grid_x(N, kWarps), kThreads, 0, dx, dy, x, gain, mean, rstd, N,
                 C);
  if (!dgain && !dshift) return;
  const int blocks = static_cast<int>(std::min<int64_t>(64, blocks_of(N, kWarps)));
  Scratch<real> partial(blocks * 2 * C, *this);
  queue_.start(gain_shift_sums, dim3(grid_x(C, kWarp), blocks), kThreads, 0, partial.data(), dy, x,
               mean, rstd, N, C);
  queue_.start(add_gain_shift, grid_x(C, kThreads), kThreads, 0, dgain, dshift, partial.data(),
               blocks, C);
}

}  // namespace farsight
