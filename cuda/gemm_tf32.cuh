// Matrix product on tensor cores, TF32 in (floats with 10 bits of mantissa) and fp32 out.
//
// A block makes a tile of 128 x 128 with 8 warps of 64 x 32 each (or of 64 x 64 with 4 warps of
// 32 x 32) in steps of 16 along k, by the pipeline of gemm_tensor.cuh. Operands stay floats in
// shared memory; a warp rounds its fragments as it reads them and multiplies them with
// mma.m16n8k8. Reads are conflict-free because of the rows' strides: 20 floats where rows run along
// k, tile + 8 where they do not.
#pragma once

#include "cuda/gemm_tensor.cuh"

namespace farsight {

using LargeTf32Shape = TensorShape<128, 64, 32>;
using SmallTf32Shape = TensorShape<64, 32, 32>;

/// Brings tiles of one operand to shared memory. `along_k`: the operand's rows run along k, and so
/// do the tile's.
template <int tile, int threads, bool along_k>
struct Tf32Loader {
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
      const int row = along_k ? spread_row(unit / kFours) : unit / kFours;
      const int column = unit % kFours * 4;
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

template <class S, bool a_along_k, bool b_along_k>
struct Tf32Product {
  using LoadA = Tf32Loader<S::kTile, S::kThreads, a_along_k>;
  using LoadB = Tf32Loader<S::kTile, S::kThreads, b_along_k>;
  static constexpr size_t kSharedBytes = kStages * sizeof(Stage<LoadA, LoadB>);

  __device__ void operator()(typename S::Sums& sum, const typename LoadA::Tile& a_tile,
                             const typename LoadB::Tile& b_tile, int row, int column) const {
    constexpr int kM = S::kWarpM / 16, kN = S::kWarpN / 8;  // fragments of a warp
    const int lane = threadIdx.x % kWarp, group = lane / 4, quad = lane % 4;
#pragma unroll
    for (int k = 0; k < LoadA::kDepth; k += 8) {
      uint32_t a[kM][4], b[kN][2];
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          a[i][r] = LoadA::element(a_tile, row + i * 16 + group + r % 2 * 8, k + quad + r / 2 * 4);
#pragma unroll
      for (int j = 0; j < kN; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r)
          b[j][r] = LoadB::element(b_tile, column + j * 8 + group, k + quad + r * 4);
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int j = 0; j < kN; ++j) gpu::mma_tf32_1688(sum[i][j], a[i], b[j]);
    }
  }
};

template <class S, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(S::kThreads) tf32_gemm(Product p) {
  using Multiply = Tf32Product<S, a_along_k, b_along_k>;
  const int row = p.row(S::kTile);
  const int column = p.column(S::kTile);
  const typename Multiply::LoadA load_a{p.a, p.M, row, a_along_k ? p.K : p.M, p.a_fours};
  const typename Multiply::LoadB load_b{p.b, p.N, column, b_along_k ? p.K : p.N, p.b_fours};
  pipelined_product<S>(p, load_a, load_b, Multiply());
}

}  // namespace farsight
