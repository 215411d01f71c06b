// Matrix product of a few rows by a transposed matrix, c = a bᵀ: a token's, in generation.
//
// Nothing is reused but a, so that all that counts is how fast b is read: a warp for each row of b,
// which it reads once, 16 bytes for each lane and access, for all rows of a. Sums are made in fp32
// at any precision: the arithmetic costs nothing here.
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
#pragma unroll 4
  for (int k = lane * 4; k < p.K; k += kWarp * 4) {
    const Four w = fetch_four(p.b, p.K, n, p.N, k, p.K, p.b_fours);
#pragma unroll
    for (int m = 0; m < kThinRows; ++m) {
      if (m >= p.M) break;
      const Four x = fetch_four(p.a, p.K, m, p.M, k, p.K, p.a_fours);
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[m] += x.v[j] * w.v[j];
    }
  }
#pragma unroll
  for (int m = 0; m < kThinRows; ++m) {
    if (m >= p.M) break;
    const real total = over_lanes<Sum>(sum[m]);
    if (lane == 0) store_product<1>(p, m, n, &total);
  }
}

}  // namespace farsight
