// Fused causal attention, backward, on tensor cores: the two kernels of attention_backward_fp32.cuh
// with products in bf16, from rounded copies of q, k, v and dy.
//
// A warp has 16 keys (16 queries) to itself, whose fragments stay in registers. It computes the
// scores and dp of its rows so that rows are what it accumulates for: transposed for the keys, k qᵀ
// and v dyᵀ, so that pᵀ and dsᵀ leave these products in the layout in which the next ones take
// them, and never see memory (but for the sums of a relative bias along diagonals). While it
// computes on the tiles of one step, asynchronous copies bring those of the next.
#pragma once

#include "cuda/attention_backward_fp32.cuh"
#include "cuda/attention_bf16.cuh"

namespace farsight {

/// Rows of a tile that goes by: as many as registers allow.
template <int width>
inline constexpr int kTensorStreamed = width > 64 ? 16 : 32;

/// Two tiles that go by, and, in their place at first, what a block keeps.
template <int width>
struct StreamedTiles {
  SwizzledTile<kTensorStreamed<width>, width> a, b;
};
template <int width>
using KeptTile = SwizzledTile<kTensorTile, width>;

/// The fragments of a warp's 16 rows of two tiles that a block keeps, by way of `memory`, which
/// holds both. All threads have to call.
template <int width>
__device__ void load_kept(RowFragments<width> (&a)[1], RowFragments<width> (&b)[1], void* memory,
                          const RoundedHead& from_a, const RoundedHead& from_b, int first) {
  KeptTile<width>* const tiles = static_cast<KeptTile<width>*>(memory);
  from_a.start(tiles[0], first);
  from_b.start(tiles[1], first);
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  __syncthreads();
  a[0].load(tiles[0], static_cast<int>(threadIdx.x) / kWarp * 16);
  b[0].load(tiles[1], static_cast<int>(threadIdx.x) / kWarp * 16);
  __syncthreads();
}

template <int width>
struct KeysBf16Shared {
  union {
    StreamedTiles<width> stages[2];
    KeptTile<width> kept[2];
  };
  float lse[2][kTensorStreamed<width>], delta[2][kTensorStreamed<width>];
};

/// dk and dv (either may be missing) of a tile of keys.
template <int width>
__global__ void __launch_bounds__(kTensorThreads, 2)
    attention_backward_keys_bf16(GradientSum dk, GradientSum dv, BackwardInputs in) {
  constexpr int kQueries = kTensorStreamed<width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(KeysBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int key = static_cast<int>(blockIdx.x) * kTensorTile;
  const int window = s.windows ? s.windows[h] : 0;
  const RoundedHead queries(in.rounded.q, b, h, s.Tq, s), dys(in.rounded.dy, b, h, s.Tq, s);
  // Queries before `start` see nothing of the tile, nor do those whose windows lie behind it.
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int start = key > offset ? (key - offset) / kQueries * kQueries : 0;
  const int end =
      window > 0 && window < s.Tk ? min(Tq, key + kTensorTile - 1 + window - offset) : Tq;
  const int64_t rows_at = (b * s.H + h) * s.Tq;
  const auto bring = [&](int stage, int first) {
    queries.start(shared->stages[stage].a, first);
    dys.start(shared->stages[stage].b, first);
    if (threadIdx.x < kQueries) {
      const int i = first + static_cast<int>(threadIdx.x);
      const int64_t at = rows_at + min(i, Tq - 1);
      gpu::cp_async4(&shared->lse[stage][threadIdx.x], in.lse + at, i < Tq);
      gpu::cp_async4(&shared->delta[stage][threadIdx.x], in.delta + at, i < Tq);
    }
    gpu::cp_async_commit();
  };

  RowFragments<width> k_rows[1], v_rows[1];
  load_kept<width>(k_rows, v_rows, shared->kept, RoundedHead(in.rounded.k, b, h, s.Tk, s),
                   RoundedHead(in.rounded.v, b, h, s.Tk, s), key);
  const float scale = s.scale * kLog2E;
  float dk_sum[1][width / 8][4] = {}, dv_sum[1][width / 8][4] = {};
  if (start < end) bring(0, start);
  for (int first = start, stage = 0; first < end; first += kQueries, stage ^= 1) {
    gpu::cp_async_wait<0>();
    __syncthreads();  // the tiles are there for all, and all are done with those before
    if (first + kQueries < end) bring(stage ^ 1, first + kQueries);
    const StreamedTiles<width>& tiles = shared->stages[stage];
    float p[1][kQueries / 8][4] = {}, ds[1][kQueries / 8][4] = {};
    multiply_rows_bf16<1, kQueries>(p, k_rows, tiles.a);
    multiply_rows_bf16<1, kQueries>(ds, v_rows, tiles.b);
    const int lowest = key + warp_row, highest = lowest + 15;  // of the warp's keys
    const bool whole = offset + first >= highest && first + kQueries <= Tq &&
                       (window <= 0 || lowest > offset + first + kQueries - 1 - window);
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int column = n * 8 + lane % 4 * 2 + j;
        const QueryRow row(first + column, h, in.bias, s, window);
        const bool exists = first + column < Tq;
        const float lse = shared->lse[stage][column] * kLog2E;
        const float delta = shared->delta[stage][column];
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const int at = lowest + lane / 4 + 8 * r;
          float& x = p[0][n][2 * r + j];
          float score = scale * x - lse;
          if (row.bias) score += kLog2E * row.bias[min(at, row.keys.end - 1)];
          const bool seen = whole || (exists && row.sees(at));
          x = seen ? gpu::exp2_fast(score) : 0.f;
          ds[0][n][2 * r + j] = x * (ds[0][n][2 * r + j] - delta);
        }
      }
    weigh_rows_bf16<1, kQueries, width>(dv_sum, p, tiles.b);
    weigh_rows_bf16<1, kQueries, width>(dk_sum, ds, tiles.a);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int j = key + warp_row + lane / 4 + 8 * r;
    if (j >= s.Tk) continue;
    const int64_t at = ((b * s.Tk + j) * s.H + h) * s.D;
    const int D = static_cast<int>(s.D);
    if (dk.to) store_row<width>(dk.to + at, dk.beta, D, in.fours, dk_sum[0], r, s.scale);
    if (dv.to) store_row<width>(dv.to + at, dv.beta, D, in.fours, dv_sum[0], r, 1);
  }
}

template <int width>
struct QueriesBf16Shared {
  union {
    StreamedTiles<width> stages[2];
    KeptTile<width> kept[2];
  };
  PaddedTile<kTensorTile, kTensorStreamed<width>> ds;
};

/// dq (may be missing) of a tile of queries, and the block's sums of ds by distance (may be null):
/// by_distance (sequences, H, tiles of queries, Tk), of the launch's alone; zero before.
template <int width>
__global__ void __launch_bounds__(kTensorThreads, 2)
    attention_backward_queries_bf16(GradientSum dq, real* by_distance, BackwardInputs in) {
  constexpr int kKeys = kTensorStreamed<width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(QueriesBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);  // of the launch's
  const int first = (in.first_tile + tile) * kTensorTile;
  const int window = s.windows ? s.windows[h] : 0;
  const RoundedHead keys(in.rounded.k, b, h, s.Tk, s), values(in.rounded.v, b, h, s.Tk, s);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kTensorTile, Tq);
  real* const sums =
      by_distance ? by_distance + ((blockIdx.z * s.H + h) * gridDim.x + tile) * s.Tk : nullptr;
  const auto bring = [&](StreamedTiles<width>& tiles, int key) {
    keys.start(tiles.a, key);
    values.start(tiles.b, key);
    gpu::cp_async_commit();
  };

  RowFragments<width> q_rows[1], dy_rows[1];
  load_kept<width>(q_rows, dy_rows, shared->kept, RoundedHead(in.rounded.q, b, h, s.Tq, s),
                   RoundedHead(in.rounded.dy, b, h, s.Tq, s), first);
  bring(shared->stages[0], oldest);

  const float scale = s.scale * kLog2E;
  const int own = first + warp_row + lane / 4;  // the lane's first row; the second is 8 below
  const QueryRow rows[2] = {QueryRow(own, h, in.bias, s, window),
                            QueryRow(own + 8, h, in.bias, s, window)};
  float lse[2], delta[2];
  for (int r = 0; r < 2; ++r) {
    const int64_t at = (b * s.H + h) * s.Tq + min(own + 8 * r, Tq - 1);
    lse[r] = in.lse[at] * kLog2E;
    delta[r] = in.delta[at];
  }
  float dq_sum[1][width / 8][4] = {};
  for (int key = oldest, stage = 0; key < end; key += kKeys, stage ^= 1) {
    gpu::cp_async_wait<0>();
    __syncthreads();  // the tiles are there for all, and all are done with those before
    if (key + kKeys < end) bring(shared->stages[stage ^ 1], key + kKeys);
    const StreamedTiles<width>& tiles = shared->stages[stage];
    float p[1][kKeys / 8][4] = {}, ds[1][kKeys / 8][4] = {};
    multiply_rows_bf16<1, kKeys>(p, q_rows, tiles.a);
    multiply_rows_bf16<1, kKeys>(ds, dy_rows, tiles.b);
    const int lowest = offset + first + warp_row, highest = lowest + 15;  // positions of its rows
    const bool whole = key + kKeys - 1 <= lowest && first + warp_row + 16 <= Tq &&
                       (window <= 0 || key > highest - window);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int r = e / 2, column = n * 8 + lane % 4 * 2 + e % 2, at = key + column;
        float score = scale * p[0][n][e] - lse[r];
        if (rows[r].bias) score += kLog2E * rows[r].bias[min(at, rows[r].keys.end - 1)];
        const bool seen = whole || (rows[r].sees(at) && own + 8 * r < Tq);
        const float mass = seen ? gpu::exp2_fast(score) : 0.f;
        ds[0][n][e] = mass * (ds[0][n][e] - delta[r]);
        if (sums) shared->ds[warp_row + lane / 4 + 8 * r][column] = ds[0][n][e];
      }
    weigh_rows_bf16<1, kKeys, width>(dq_sum, ds, tiles.a);
    if (sums) {
      __syncthreads();
      const int number = threadIdx.x;
      const int distance = offset + first - key + number - (kKeys - 1);
      if (number < kTensorTile + kKeys - 1 && distance >= 0 && distance < s.Tk) {
        const real before = sums[distance];
        sums[distance] = before + diagonal_sum<kTensorTile, kKeys>(shared->ds, number);
      }
    }
  }
  if (!dq.to) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int i = own + 8 * r;
    if (i >= Tq) continue;
    store_row<width>(dq.to + ((b * s.Tq + i) * s.H + h) * s.D, dq.beta, static_cast<int>(s.D),
                     in.fours, dq_sum[0], r, s.scale);
  }
}

}  // namespace farsight
