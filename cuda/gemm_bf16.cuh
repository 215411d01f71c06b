// Matrix product on tensor cores, bf16 in and fp32 out.
//
// Operands lie in memory as floats and are rounded to bf16 on their way to shared memory, so that
// no second copy of anything is kept. A block makes a tile of 128 x 128 with 8 warps of 64 x 32
// each (or of 64 x 64 with 4 warps of 32 x 32) in steps of 32 along k: a warp reads its fragments
// with ldmatrix (transposed on the way where the operand's rows do not run along k) and multiplies
// them with mma.m16n8k16. Two buffers, the next step's floats on their way in registers meanwhile.
//
// Per step a warp of 64 x 32 loads 96 rows of 64 bytes for 32 mma, below the 128 bytes per clock
// that shared memory gives. Rows are 16 bytes longer than needed, which puts the eight rows of an 8
// x 8 matrix into different banks.
#pragma once

#include "cuda/fragments.cuh"
#include "cuda/gemm.h"

namespace farsight {

/// Brings tiles of one operand to shared memory. `along_k`: the operand's rows run along k, and so
/// do the tile's.
template <int tile, int threads, bool along_k>
struct TensorLoader {
  static constexpr int kDepth = 32;
  static constexpr int kStride = (along_k ? kDepth : tile) + 8;
  static constexpr int kRows = along_k ? tile : kDepth;
  static constexpr int kFours = (along_k ? kDepth : tile) / 4;  // in a row
  static constexpr int kCount = kRows * kFours / threads;       // of a thread
  using Tile = Bf16[kRows][kStride];

  const real* from;
  int extent, first;  // of the operand's other index: its end, and where the tile begins
  int64_t stride;
  bool fours;

  __device__ void fetch(Four (&x)[kCount], int k, int k_end) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int unit = threadIdx.x + i * threads, row = unit / kFours, column = unit % kFours * 4;
      x[i] = along_k ? fetch_four(from, stride, first + row, extent, k + column, k_end, fours)
                     : fetch_four(from, stride, k + row, k_end, first + column, extent, fours);
    }
  }

  __device__ static void store(Tile& to, const Four (&x)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int unit = threadIdx.x + i * threads, row = unit / kFours, column = unit % kFours * 4;
      *reinterpret_cast<uint2*>(&to[row][column]) =
          make_uint2(pack_bf16(x[i].v[0], x[i].v[1]), pack_bf16(x[i].v[2], x[i].v[3]));
    }
  }

  /// The (16, 16) fragment of a at (m, k).
  __device__ static void fragment_a(uint32_t (&a)[4], const Tile& from, int m, int k) {
    along_k ? load_a(a, from, m, k) : load_a_transposed(a, from, m, k);
  }

  /// The (16, 8) fragments of b at (k, n) and (k, n + 8), one after the other.
  __device__ static void fragments_b(uint32_t (&b)[4], const Tile& from, int n, int k) {
    along_k ? load_b_transposed(b, from, n, k) : load_b(b, from, n, k);
  }
};

/// A block's tile, and the part of it that a warp makes.
template <int tile_, int warp_m, int warp_n>
struct TensorShape {
  static constexpr int kTile = tile_, kWarpM = warp_m, kWarpN = warp_n;
  static constexpr int kThreads = (tile_ / warp_m) * (tile_ / warp_n) * kWarp;

  __device__ static int warp_row() { return threadIdx.x / kWarp / (tile_ / warp_n) * warp_m; }
  __device__ static int warp_column() { return threadIdx.x / kWarp % (tile_ / warp_n) * warp_n; }
};
using LargeTensorShape = TensorShape<128, 64, 32>;
using SmallTensorShape = TensorShape<64, 32, 32>;

/// Stores a warp's part of the product, which begins at (row, column). Of each fragment a lane
/// holds two neighbours in row lane / 4 and two in the row 8 below.
template <class S>
__device__ void store_fragments(const Product& p, int row, int column,
                                const float (&sum)[S::kWarpM / 16][S::kWarpN / 8][4]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int i = 0; i < S::kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < S::kWarpN / 8; ++j) {
      const int m = row + i * 16 + lane / 4, n = column + j * 8 + lane % 4 * 2;
      store_product<2>(p, m, n, &sum[i][j][0]);
      store_product<2>(p, m + 8, n, &sum[i][j][2]);
    }
}

template <class S, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(S::kThreads) bf16_gemm(Product p) {
  using LoadA = TensorLoader<S::kTile, S::kThreads, a_along_k>;
  using LoadB = TensorLoader<S::kTile, S::kThreads, b_along_k>;
  SHARED(a_tiles, typename LoadA::Tile[2]);
  SHARED(b_tiles, typename LoadB::Tile[2]);
  constexpr int kM = S::kWarpM / 16, kN = S::kWarpN / 8;  // fragments of a warp
  const int warp_row = S::warp_row(), warp_column = S::warp_column();
  const int row = static_cast<int>(blockIdx.x) * S::kTile;
  const int column = static_cast<int>(blockIdx.y) * S::kTile;
  const LoadA load_a{p.a, p.M, row, a_along_k ? p.K : p.M, p.a_fours};
  const LoadB load_b{p.b, p.N, column, b_along_k ? p.K : p.N, p.b_fours};
  const int k_begin = p.k_begin(), k_end = p.k_end();

  float sum[kM][kN][4] = {};
  Four next_a[LoadA::kCount], next_b[LoadB::kCount];
  load_a.fetch(next_a, k_begin, k_end);
  load_b.fetch(next_b, k_begin, k_end);
  LoadA::store(a_tiles[0], next_a);
  LoadB::store(b_tiles[0], next_b);
  __syncthreads();
  int buffer = 0;
  for (int k = k_begin; k < k_end; k += LoadA::kDepth) {
    const bool more = k + LoadA::kDepth < k_end;
    if (more) {
      load_a.fetch(next_a, k + LoadA::kDepth, k_end);
      load_b.fetch(next_b, k + LoadA::kDepth, k_end);
    }
#pragma unroll
    for (int step = 0; step < LoadA::kDepth; step += 16) {
      uint32_t a[kM][4], b[kN / 2][4];
#pragma unroll
      for (int i = 0; i < kM; ++i)
        LoadA::fragment_a(a[i], a_tiles[buffer], warp_row + i * 16, step);
#pragma unroll
      for (int j = 0; j < kN / 2; ++j)
        LoadB::fragments_b(b[j], b_tiles[buffer], warp_column + j * 16, step);
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int j = 0; j < kN; ++j) multiply(sum[i][j], a[i], b[j / 2], j % 2);
    }
    if (more) {
      buffer ^= 1;
      LoadA::store(a_tiles[buffer], next_a);
      LoadB::store(b_tiles[buffer], next_b);
      __syncthreads();
    }
  }
  store_fragments<S>(p, row + warp_row, column + warp_column, sum);
}

}  // namespace farsight
