// Fused causal attention, backward, on the ordinary arithmetic units (after FlashAttention-2, Dao
// 2023; core/cpu/attention_backward.cpp has the formulas).
//
// Each sum is made by one block in a fixed order, without atomics, so that the same inputs give the
// same bits: one kernel keeps a tile of keys and goes through the queries that see it (dk, dv),
// another keeps a tile of queries and goes through its keys (dq, dbias). Scores and dp are computed
// in both: 7 products of tiles in place of 5.
//
// A relative bias adds up ds along diagonals. A block has a row of partial sums by distance to
// itself, adds its tiles' diagonals to it, and a last kernel adds the blocks' rows in order. A
// dense bias shares its elements among sequences alone: a kernel of its own goes through these.
#pragma once

#include "cuda/attention_tile.cuh"

namespace farsight {

/// What every kernel of the backward pass reads.
struct BackwardInputs {
  const real *dy, *lse, *delta, *q, *k, *v;  // delta (B, H, Tq): Σ_d dy y
  BiasView bias;
  AttentionSizes s;
  bool fours;  // whether rows of all, and of the gradients, are aligned
  struct {
    const Bf16 *dy, *q, *k, *v;
  } rounded;               // copies for the kernels in bf16
  int64_t first_sequence;  // of the launch
  int first_tile;          // of queries, where a launch keeps these
};

/// p and ds of a tile of queries from `first` and keys from `key`, in a thread's registers.
template <int queries, int keys, int width>
struct TileGradient {
  real p[queries / 16][keys / 16] = {}, ds[queries / 16][keys / 16] = {};

  __device__ TileGradient(const BackwardInputs& in, int64_t b, int64_t h, int window, int first,
                          int key, const PaddedTile<queries, width>& q,
                          const PaddedTile<queries, width>& dy, const PaddedTile<keys, width>& k,
                          const PaddedTile<keys, width>& v, int tx, int ty) {
    multiply_rows<queries, keys, width>(p, q, k, tx, ty);
    multiply_rows<queries, keys, width>(ds, dy, v, tx, ty);
#pragma unroll
    for (int r = 0; r < queries / 16; ++r) {
      const int i = first + ty + 16 * r;
      const QueryRow row(i, h, in.bias, in.s, window);
      const bool exists = i < in.s.Tq;
      const int64_t at = (b * in.s.H + h) * in.s.Tq + (exists ? i : 0);
      const real lse = in.lse[at], delta = in.delta[at];
#pragma unroll
      for (int c = 0; c < keys / 16; ++c) {
        const int j = key + tx + 16 * c;
        const bool seen = exists && row.sees(j);
        p[r][c] = seen ? std::exp(row.score(p[r][c], j, in.s.scale) - lse) : real(0);
        ds[r][c] = p[r][c] * (ds[r][c] - delta);
      }
    }
  }

  __device__ static void store(PaddedTile<queries, keys>& to,
                               const real (&x)[queries / 16][keys / 16], int tx, int ty) {
#pragma unroll
    for (int r = 0; r < queries / 16; ++r)
#pragma unroll
      for (int c = 0; c < keys / 16; ++c) to[ty + 16 * r][tx + 16 * c] = x[r][c];
  }
};

template <int kept, int streamed, int width>
struct BackwardShared {
  PaddedTile<kept, width> kept_a, kept_b;
  PaddedTile<streamed, width> streamed_a, streamed_b;
};

template <int width>
struct KeysShared : BackwardShared<kTileRows<width>, kTileRows<width> / 2, width> {
  PaddedTile<kTileRows<width> / 2, kTileRows<width>> weights;
};
template <int width>
struct QueriesShared : BackwardShared<kTileRows<width>, kTileRows<width> / 2, width> {
  PaddedTile<kTileRows<width>, kTileRows<width> / 2> ds;
};

/// dk and dv (either may be missing) of a tile of keys.
template <int width>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_backward_keys(GradientSum dk, GradientSum dv, BackwardInputs in) {
  constexpr int kKeys = kTileRows<width>, kQueries = kKeys / 2;
  using Gradient = TileGradient<kQueries, kKeys, width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(KeysShared<width>, shared);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int key = static_cast<int>(blockIdx.x) * kKeys;  // early keys are seen by most
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows queries(in.q, b, h, s.Tq, s, in.fours), dys(in.dy, b, h, s.Tq, s, in.fours);
  // Queries before `start` see nothing of the tile, nor do those whose windows lie behind it.
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int start = key > offset ? (key - offset) / kQueries * kQueries : 0;
  const int end = window > 0 && window < s.Tk ? min(Tq, key + kKeys - 1 + window - offset) : Tq;

  real dk_sum[kKeys / 16][width / 16] = {}, dv_sum[kKeys / 16][width / 16] = {};
  load_tile<kKeys, width>(shared->kept_a, HeadRows(in.k, b, h, s.Tk, s, in.fours), key);
  load_tile<kKeys, width>(shared->kept_b, HeadRows(in.v, b, h, s.Tk, s, in.fours), key);
  for (int first = start; first < end; first += kQueries) {
    __syncthreads();
    load_tile<kQueries, width>(shared->streamed_a, queries, first);
    load_tile<kQueries, width>(shared->streamed_b, dys, first);
    __syncthreads();
    const Gradient gradient(in, b, h, window, first, key, shared->streamed_a, shared->streamed_b,
                            shared->kept_a, shared->kept_b, tx, ty);
    Gradient::store(shared->weights, gradient.p, tx, ty);
    __syncthreads();
    weigh_rows_transposed<kQueries, kKeys, width>(dv_sum, shared->weights, shared->streamed_b, tx,
                                                  ty);
    __syncthreads();
    Gradient::store(shared->weights, gradient.ds, tx, ty);
    __syncthreads();
    weigh_rows_transposed<kQueries, kKeys, width>(dk_sum, shared->weights, shared->streamed_a, tx,
                                                  ty);
  }
#pragma unroll
  for (int r = 0; r < kKeys / 16; ++r) {
    const int j = key + ty * (kKeys / 16) + r;
    if (j >= s.Tk) continue;
    const int64_t at = ((b * s.Tk + j) * s.H + h) * s.D;
    const int D = static_cast<int>(s.D);
    if (dk.to) Columns<width>::store(dk.to + at, dk.beta, D, in.fours, dk_sum[r], s.scale, tx);
    if (dv.to) Columns<width>::store(dv.to + at, dv.beta, D, in.fours, dv_sum[r], 1, tx);
  }
}

/// dq (may be missing) of a tile of queries, and the block's sums of ds by distance (may be null):
/// by_distance (sequences, H, tiles of queries, Tk), of the launch's alone; zero before.
template <int width>
__global__ void __launch_bounds__(kAttentionThreads, width == 64 ? 1 : 2)  // two would spill
    attention_backward_queries(GradientSum dq, real* by_distance, BackwardInputs in) {
  constexpr int kQueries = kTileRows<width>, kKeys = kQueries / 2;
  using Gradient = TileGradient<kQueries, kKeys, width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(QueriesShared<width>, shared);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);  // of the launch's
  const int first = (in.first_tile + tile) * kQueries;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows keys(in.k, b, h, s.Tk, s, in.fours), values(in.v, b, h, s.Tk, s, in.fours);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kQueries, Tq);
  real* const sums =
      by_distance ? by_distance + ((blockIdx.z * s.H + h) * gridDim.x + tile) * s.Tk : nullptr;

  real dq_sum[kQueries / 16][width / 16] = {};
  load_tile<kQueries, width>(shared->kept_a, HeadRows(in.q, b, h, s.Tq, s, in.fours), first);
  load_tile<kQueries, width>(shared->kept_b, HeadRows(in.dy, b, h, s.Tq, s, in.fours), first);
  for (int key = oldest; key < end; key += kKeys) {
    __syncthreads();
    load_tile<kKeys, width>(shared->streamed_a, keys, key);
    load_tile<kKeys, width>(shared->streamed_b, values, key);
    __syncthreads();
    const Gradient gradient(in, b, h, window, first, key, shared->kept_a, shared->kept_b,
                            shared->streamed_a, shared->streamed_b, tx, ty);
    Gradient::store(shared->ds, gradient.ds, tx, ty);
    __syncthreads();
    weigh_rows<kQueries, kKeys, width>(dq_sum, shared->ds, shared->streamed_a, tx, ty);
    if (sums && threadIdx.x < kQueries + kKeys - 1) {
      const int number = threadIdx.x;
      const int distance = offset + first - key + number - (kKeys - 1);
      const real sum = diagonal_sum<kQueries, kKeys>(shared->ds, number);
      if (distance >= 0 && distance < s.Tk) sums[distance] += sum;
    }
  }
  if (!dq.to) return;
  const int D = static_cast<int>(s.D);
#pragma unroll
  for (int r = 0; r < kQueries / 16; ++r) {
    const int i = first + ty + 16 * r;
    if (i < s.Tq)
      Columns<width>::store(dq.to + ((b * s.Tq + i) * s.H + h) * s.D, dq.beta, D, in.fours,
                            dq_sum[r], s.scale, tx);
  }
}

/// A dense bias' gradient in a tile of queries and keys, summed over all sequences in order.
/// `rounded`: lse and delta come from products in bf16.
template <int width, bool rounded>
__global__ void __launch_bounds__(kAttentionThreads, 2) attention_backward_bias(BackwardInputs in) {
  constexpr int kQueries = kTileRows<width>, kKeys = kQueries / 2;
  using Gradient = TileGradient<kQueries, kKeys, width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(QueriesShared<width>, shared);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int64_t h = blockIdx.z;
  const int first = static_cast<int>(blockIdx.y) * kQueries;
  const int key = static_cast<int>(blockIdx.x) * kKeys;
  const int window = s.windows ? s.windows[h] : 0;
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  if (key >= offset + min(first + kQueries, Tq)) return;
  if (key + kKeys <= visible_keys(offset + first, window).begin) return;

  real total[kQueries / 16][kKeys / 16] = {};
  for (int64_t b = 0; b < s.B; ++b) {
    __syncthreads();
    load_tile<kQueries, width, rounded>(shared->kept_a, HeadRows(in.q, b, h, s.Tq, s, in.fours),
                                        first);
    load_tile<kQueries, width, rounded>(shared->kept_b, HeadRows(in.dy, b, h, s.Tq, s, in.fours),
                                        first);
    load_tile<kKeys, width, rounded>(shared->streamed_a, HeadRows(in.k, b, h, s.Tk, s, in.fours),
                                     key);
    load_tile<kKeys, width, rounded>(shared->streamed_b, HeadRows(in.v, b, h, s.Tk, s, in.fours),
                                     key);
    __syncthreads();
    const Gradient gradient(in, b, h, window, first, key, shared->kept_a, shared->kept_b,
                            shared->streamed_a, shared->streamed_b, tx, ty);
#pragma unroll
    for (int r = 0; r < kQueries / 16; ++r)
#pragma unroll
      for (int c = 0; c < kKeys / 16; ++c) total[r][c] += gradient.ds[r][c];
  }
#pragma unroll
  for (int r = 0; r < kQueries / 16; ++r)
#pragma unroll
    for (int c = 0; c < kKeys / 16; ++c) {
      const int i = first + ty + 16 * r, j = key + tx + 16 * c;
      if (i < Tq && j < offset + i + 1)
        in.bias.grad[h * in.bias.head_stride + i * in.bias.row_stride + j] += total[r][c];
    }
}

}  // namespace farsight
