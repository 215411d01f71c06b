// Matrix product of a few rows by a transposed matrix, c = a bᵀ: a token's, in generation.
//
// Nothing is reused but a, so that all that counts is how fast b is read: a warp for each row of b,
// which it reads once for all rows of a, 16 bytes for each lane and access, four of them on their
// way. Sums are made in fp32 at any precision: the arithmetic costs nothing here.
#pragma once

#include "cuda/gemm.h"

namespace farsight {

inline constexpr int kThinRows = 4;  // the most rows of a
inline constexpr int kThinThreads = 128;

__global__ void __launch_bounds__(kThinThreads) thin_gemm(Product p) {
  constexpr int kWarps = kThinThreads / kWarp;
  const int n = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (n >= p.N) return;
  const int lane = threadIdx.x % kWarp;
  real sum[kThinRows] = {};
  const real* const row = p.b + static_cast<int64_t>(n) * p.K;
  if (p.a_fours && p.b_fours) {
    constexpr int kAtOnce = 4;  // loads of b on their way
    for (int first = lane * 4; first < p.K; first += kAtOnce * kWarp * 4) {
      Four w[kAtOnce];
#pragma unroll
      for (int u = 0; u < kAtOnce; ++u) {
        const int k = first + u * kWarp * 4;
        w[u] = k < p.K ? load_four(row + k) : Four{};
      }
#pragma unroll
      for (int m = 0; m < kThinRows; ++m) {
        if (m >= p.M) break;
        const real* const x = p.a + static_cast<int64_t>(m) * p.K;
#pragma unroll
        for (int u = 0; u < kAtOnce; ++u) {
          const int k = first + u * kWarp * 4;
          const Four part = k < p.K ? load_four(x + k) : Four{};
#pragma unroll
          for (int j = 0; j < 4; ++j) sum[m] += part.v[j] * w[u].v[j];
        }
      }
    }
  } else {
    for (int k = lane; k < p.K; k += kWarp)
#pragma unroll
      for (int m = 0; m < kThinRows; ++m)
        if (m < p.M) sum[m] += p.a[static_cast<int64_t>(m) * p.K + k] * row[k];
  }
#pragma unroll
  for (int m = 0; m < kThinRows; ++m) {
    if (m >= p.M) break;
    const real total = over_lanes<Sum>(sum[m]);
    if (lane == 0) store_product<1>(p, m, n, &total);
  }
}

}  // namespace farsight
