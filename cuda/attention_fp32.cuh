// Fused causal attention, forward, on the ordinary arithmetic units (after FlashAttention, Dao et
// al. 2022; see core/cpu/attention.cpp for the online softmax).
//
// A block does a tile of 64 queries of one head (32 for wide heads) and goes through the keys in
// tiles of as many; those behind the last query or before every query's window are never touched. A
// thread has rows ty + 16 r of the scores and columns tx + 16 c; the 16 lanes of a row share its
// largest score and its total by shuffles. Probabilities go through shared memory, in the place of
// the keys, to be multiplied with the values. Memory is read Tq / 64 times over the keys and values
// that are seen, mostly from the second-level cache; nothing of size T x T is stored.
#pragma once

#include "cuda/attention_tile.cuh"

namespace farsight {

template <int width>
struct ForwardShared {
  static constexpr int kTile = kTileRows<width>;
  PaddedTile<kTile, width> q, v;
  union {
    PaddedTile<kTile, width> k;
    PaddedTile<kTile, kTile> p;
  };
};

template <int width>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_forward(real* y, real* lse, const real* q, const real* k, const real* v,
                      BiasView bias, AttentionSizes s, bool fours) {
  constexpr int kTile = kTileRows<width>, kRows = kTile / 16, kColumns = kTile / 16;
  constexpr real kInfinity = std::numeric_limits<real>::infinity();
  DYN_SHARED(ForwardShared<width>, shared);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int64_t h = blockIdx.y, b = blockIdx.z;
  // Later tiles see more keys: they start first, so that the device is busy to the end.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kTile;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows queries(q, b, h, s.Tq, s, fours), keys(k, b, h, s.Tk, s, fours),
      values(v, b, h, s.Tk, s, fours);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kTile, Tq);

  real mixed[kRows][width / 16] = {}, largest[kRows], total[kRows] = {};
  for (int r = 0; r < kRows; ++r) largest[r] = -kInfinity;
  load_tile<kTile, width>(shared->q, queries, first);
  for (int key = oldest; key < end; key += kTile) {
    __syncthreads();  // all are done with the tiles of the step before
    load_tile<kTile, width>(shared->k, keys, key);
    load_tile<kTile, width>(shared->v, values, key);
    __syncthreads();
    real p[kRows][kColumns] = {};
    multiply_rows<kTile, kTile, width>(p, shared->q, shared->k, tx, ty);
    __syncthreads();  // the probabilities take the keys' place
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const QueryRow row(first + ty + 16 * r, h, bias, s, window);
      real top = largest[r];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int j = key + tx + 16 * c;
        p[r][c] = row.sees(j) ? row.score(p[r][c], j, s.scale) : -kInfinity;
        top = Largest::of(p[r][c], top);
      }
      top = over_lanes<Largest, 16>(top);
      // A row that has seen nothing yet would make infinity - infinity.
      const real base = top == -kInfinity ? real(0) : top;
      const real shrink = std::exp(largest[r] - base);
      real sum = 0;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        p[r][c] = std::exp(p[r][c] - base);
        sum += p[r][c];
        shared->p[ty + 16 * r][tx + 16 * c] = p[r][c];
      }
      total[r] = total[r] * shrink + over_lanes<Sum, 16>(sum);
      largest[r] = top;
#pragma unroll
      for (int w = 0; w < width / 16; ++w) mixed[r][w] *= shrink;
    }
    __syncthreads();
    weigh_rows<kTile, kTile, width>(mixed, shared->p, shared->v, tx, ty);
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int i = first + ty + 16 * r;
    if (i >= s.Tq) continue;
    Columns<width>::store(y + ((b * s.Tq + i) * s.H + h) * s.D, 0, static_cast<int>(s.D), fours,
                          mixed[r], 1 / total[r], tx);
    if (tx == 0) lse[(b * s.H + h) * s.Tq + i] = largest[r] + std::log(total[r]);
  }
}

}  // namespace farsight
