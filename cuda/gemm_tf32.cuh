// Matrix product on tensor cores, TF32 in (floats with 10 bits of mantissa) and fp32 out.
//
// As gemm_bf16.cuh in its tiles; what differs is how operands travel. They stay floats in shared
// memory, so that asynchronous copies bring them there without passing through registers, three
// steps of 16 along k in flight; a warp rounds its fragments as it reads them. Reads are
// conflict-free because of the rows' strides: 20 floats where rows run along k, tile + 8 where they
// do not.
#pragma once

#include "cuda/gemm_bf16.cuh"

namespace farsight {

/// Brings tiles of one operand to shared memory. `along_k`: the operand's rows run along k, and so
/// do the tile's.
template <int tile, int threads, bool along_k>
struct AsyncLoader {
  static constexpr int kDepth = 16;
  static constexpr int kStride = along_k ? kDepth + 4 : tile + 8;
  static constexpr int kRows = along_k ? tile : kDepth;
  static constexpr int kFours = (along_k ? kDepth : tile) / 4;  // in a row
  using Tile = real[kRows][kStride];

  const real* from;
  int extent, first;  // of the operand's other index: its end, and where the tile begins
  int64_t stride;
  bool fours;

  /// Starts the copies of the step at k.
  __device__ void start(Tile& to, int k, int k_end) const {
#pragma unroll
    for (int unit = threadIdx.x; unit < kRows * kFours; unit += threads) {
      const int row = unit / kFours, column = unit % kFours * 4;
      const int m = (along_k ? first : k) + row, n = (along_k ? k : first) + column;
      const int m_end = along_k ? extent : k_end, n_end = along_k ? k_end : extent;
      if (fours && (m >= m_end || n >= n_end || n + 4 <= n_end)) {
        const bool valid = m < m_end && n < n_end;
        gpu::cp_async16(&to[row][column], valid ? from + m * stride + n : from, valid);
      } else {
        for (int j = 0; j < 4; ++j) {
          const bool valid = m < m_end && n + j < n_end;
          gpu::cp_async4(&to[row][column + j], valid ? from + m * stride + n + j : from, valid);
        }
      }
    }
  }

  /// The element of the operand's index `other` and of k, ready for the tensor cores.
  __device__ static uint32_t element(const Tile& from, int other, int k) {
    return gpu::round_to_tf32(along_k ? from[other][k] : from[k][other]);
  }
};

inline constexpr int kTf32Stages = 3;

template <class S, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(S::kThreads) tf32_gemm(Product p) {
  using LoadA = AsyncLoader<S::kTile, S::kThreads, a_along_k>;
  using LoadB = AsyncLoader<S::kTile, S::kThreads, b_along_k>;
  struct Stage {
    typename LoadA::Tile a;
    typename LoadB::Tile b;
  };
  DYN_SHARED(Stage, stages);
  constexpr int kM = S::kWarpM / 16, kN = S::kWarpN / 8;  // fragments of a warp
  const int lane = threadIdx.x % kWarp;
  const int warp_row = S::warp_row(), warp_column = S::warp_column();
  const int row = static_cast<int>(blockIdx.x) * S::kTile;
  const int column = static_cast<int>(blockIdx.y) * S::kTile;
  const LoadA load_a{p.a, p.M, row, a_along_k ? p.K : p.M, p.a_fours};
  const LoadB load_b{p.b, p.N, column, b_along_k ? p.K : p.N, p.b_fours};
  const int k_begin = p.k_begin(), k_end = p.k_end();
  const auto start = [&](int step) {
    const int k = k_begin + step * LoadA::kDepth;
    if (k < k_end) {
      load_a.start(stages[step % kTf32Stages].a, k, k_end);
      load_b.start(stages[step % kTf32Stages].b, k, k_end);
    }
    gpu::cp_async_commit();  // a group for each step, empty behind the last
  };

  float sum[kM][kN][4] = {};
  for (int step = 0; step < kTf32Stages - 1; ++step) start(step);
  for (int step = 0; k_begin + step * LoadA::kDepth < k_end; ++step) {
    gpu::cp_async_wait<kTf32Stages - 2>();
    // This step's numbers are there for all, and all are done with the stage that is filled next.
    __syncthreads();
    start(step + kTf32Stages - 1);
    const Stage& stage = stages[step % kTf32Stages];
#pragma unroll
    for (int k = 0; k < LoadA::kDepth; k += 8) {
      const int group = lane / 4, quad = lane % 4;
      uint32_t a[kM][4], b[kN][2];
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          a[i][r] =
              LoadA::element(stage.a, warp_row + i * 16 + group + r % 2 * 8, k + quad + r / 2 * 4);
#pragma unroll
      for (int j = 0; j < kN; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r)
          b[j][r] = LoadB::element(stage.b, warp_column + j * 8 + group, k + quad + r * 4);
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int j = 0; j < kN; ++j) gpu::mma_tf32_1688(sum[i][j], a[i], b[j]);
    }
  }
  store_fragments<S>(p, row + warp_row, column + warp_column, sum);
}

/// What a launch has to ask for.
template <class S, bool a_along_k, bool b_along_k>
constexpr size_t tf32_shared_bytes() {
  return kTf32Stages * (sizeof(typename AsyncLoader<S::kTile, S::kThreads, a_along_k>::Tile) +
                        sizeof(typename AsyncLoader<S::kTile, S::kThreads, b_along_k>::Tile));
}

}  // namespace farsight
