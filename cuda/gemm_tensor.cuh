// What the matrix products on tensor cores share: how a block's tile is dealt out to its warps, how
// sums leave registers, and a pipeline of asynchronous copies.
#pragma once

#include "cuda/gemm.h"

namespace farsight {

/// A block's tile, and the part of it that a warp makes.
template <int tile_, int warp_m, int warp_n>
struct TensorShape {
  static constexpr int kTile = tile_, kWarpM = warp_m, kWarpN = warp_n;
  static constexpr int kThreads = (tile_ / warp_m) * (tile_ / warp_n) * kWarp;
  using Sums = float[warp_m / 16][warp_n / 8][4];  // a lane's part of the warp's

  __device__ static int warp_row() { return threadIdx.x / kWarp / (tile_ / warp_n) * warp_m; }
  __device__ static int warp_column() { return threadIdx.x / kWarp % (tile_ / warp_n) * warp_n; }
};

/// Stores a warp's part of the product, which begins at (row, column). Of each fragment a lane
/// holds two neighbours in row lane / 4 and two in the row 8 below.
template <class S>
__device__ void store_fragments(const Product& p, int row, int column,
                                const typename S::Sums& sum) {
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

/// Tiles of both operands in shared memory.
template <class LoadA, class LoadB>
struct Stage {
  typename LoadA::Tile a;
  typename LoadB::Tile b;
};

inline constexpr int kStages = 3;

/// The block's tile of the product. While it multiplies the tiles of one step along k, those of the
/// next two are on their way: the loaders start(tile, k, k_end) their copies, and `multiply`(sums,
/// a tile, b tile, warp's row, warp's column) adds a step of LoadA::kDepth to the warp's sums.
template <class S, class LoadA, class LoadB, class Multiply>
__device__ void pipelined_product(const Product& p, const LoadA& load_a, const LoadB& load_b,
                                  const Multiply& multiply) {
  using Tiles = Stage<LoadA, LoadB>;
  DYN_SHARED(Tiles, stages);
  const int warp_row = S::warp_row(), warp_column = S::warp_column();
  const int k_begin = p.k_begin(), k_end = p.k_end();
  const auto start = [&](int step) {
    const int k = k_begin + step * LoadA::kDepth;
    if (k < k_end) {
      load_a.start(stages[step % kStages].a, k, k_end);
      load_b.start(stages[step % kStages].b, k, k_end);
    }
    gpu::cp_async_commit();  // a group for each step, empty behind the last
  };

  typename S::Sums sum = {};
  for (int step = 0; step < kStages - 1; ++step) start(step);
  for (int step = 0; k_begin + step * LoadA::kDepth < k_end; ++step) {
    gpu::cp_async_wait<kStages - 2>();
    // This step's numbers are there for all, and all are done with the stage that is filled next.
    __syncthreads();
    start(step + kStages - 1);
    const Tiles& tiles = stages[step % kStages];
    multiply(sum, tiles.a, tiles.b, warp_row, warp_column);
  }
  store_fragments<S>(p, p.row(S::kTile) + warp_row, p.column(S::kTile) + warp_column, sum);
}

}  // namespace farsight
