// Matrix product on the ordinary arithmetic units (fp32; double in the derivative checks).
//
// A block of 256 threads makes a tile of 128 x 128 (or 64 x 64, where there would be too few of
// them), in steps of `depth` along k. Per step each thread brings one group of four numbers of a
// and one of b from global to shared memory, where both tiles lie with k outermost, and adds 8 x 8
// (4 x 4) outer products from registers: 2 floats loaded from shared memory for 8 (4)
// multiply-adds. The next step's numbers are on their way in registers meanwhile, into the other of
// two buffers, so that one barrier a step suffices. Global memory is read M N K (1 / 128 + 1 / 128)
// times 4 bytes.
//
// Rows of a tile have 4 floats more than needed: threads that store a column of four (operands
// whose rows run along k) then hit different banks in large tiles, and each bank twice in small
// ones.
#pragma once

#include "cuda/gemm.h"

namespace farsight {

inline constexpr int kSimtThreads = 256;

/// Brings tiles of one operand to shared memory. `along_k`: the operand's rows run along k.
template <int tile, int depth, bool along_k>
struct SimtLoader {
  static_assert(tile * depth == 4 * kSimtThreads);  // one group of four per thread
  using Tile = real[depth][tile + 4];

  const real* from;
  int extent, first;  // of the operand's other index: its end, and where the tile begins
  int64_t stride;
  bool fours;

  __device__ static int k_of_thread() {
    return along_k ? threadIdx.x % (depth / 4) * 4 : threadIdx.x / (tile / 4);
  }
  __device__ static int other_of_thread() {
    return along_k ? threadIdx.x / (depth / 4) : threadIdx.x % (tile / 4) * 4;
  }

  __device__ Four fetch(int k, int k_end) const {
    k += k_of_thread();
    const int other = first + other_of_thread();
    return along_k ? fetch_four(from, stride, other, extent, k, k_end, fours)
                   : fetch_four(from, stride, k, k_end, other, extent, fours);
  }

  __device__ static void store(Tile& to, const Four& x) {
    const int k = k_of_thread(), other = other_of_thread();
    if (along_k) {
      for (int j = 0; j < 4; ++j) to[k + j][other] = x.v[j];
    } else {
      store_four(&to[k][other], x);
    }
  }
};

template <int tile, int depth, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(kSimtThreads, 2) simt_gemm(Product p) {
  using LoadA = SimtLoader<tile, depth, a_along_k>;
  using LoadB = SimtLoader<tile, depth, b_along_k>;
  SHARED(a_tiles, typename LoadA::Tile[2]);
  SHARED(b_tiles, typename LoadB::Tile[2]);
  constexpr int kGroups = tile / 64;  // groups of four rows (and columns) of a thread, 64 apart
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int row = p.row(tile);
  const int column = p.column(tile);
  const LoadA load_a{p.a, p.M, row, a_along_k ? p.K : p.M, p.a_fours};
  const LoadB load_b{p.b, p.N, column, b_along_k ? p.K : p.N, p.b_fours};
  const int k_begin = p.k_begin(), k_end = p.k_end();

  real sum[4 * kGroups][4 * kGroups] = {};
  LoadA::store(a_tiles[0], load_a.fetch(k_begin, k_end));
  LoadB::store(b_tiles[0], load_b.fetch(k_begin, k_end));
  __syncthreads();
  int buffer = 0;
  for (int k = k_begin; k < k_end; k += depth) {
    const bool more = k + depth < k_end;
    Four next_a, next_b;
    if (more) {
      next_a = load_a.fetch(k + depth, k_end);
      next_b = load_b.fetch(k + depth, k_end);
    }
#pragma unroll
    for (int step = 0; step < depth; ++step) {
      Four a[kGroups], b[kGroups];
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        a[g] = load_four(&a_tiles[buffer][step][g * 64 + ty * 4]);
        b[g] = load_four(&b_tiles[buffer][step][g * 64 + tx * 4]);
      }
#pragma unroll
      for (int i = 0; i < 4 * kGroups; ++i)
#pragma unroll
        for (int j = 0; j < 4 * kGroups; ++j) sum[i][j] += a[i / 4].v[i % 4] * b[j / 4].v[j % 4];
    }
    if (more) {
      // The other buffer was last read before the barrier that ended the step before.
      buffer ^= 1;
      LoadA::store(a_tiles[buffer], next_a);
      LoadB::store(b_tiles[buffer], next_b);
      __syncthreads();
    }
  }
#pragma unroll
  for (int i = 0; i < 4 * kGroups; ++i)
#pragma unroll
    for (int g = 0; g < kGroups; ++g)
      store_product<4>(p, row + i / 4 * 64 + ty * 4 + i % 4, column + g * 64 + tx * 4,
                       &sum[i][g * 4]);
}

}  // namespace farsight
