// Fused causal attention, backward, on tensor cores: the two kernels of attention_backward_fp32.cuh
// with products in bf16.
//
// A warp has 16 keys (16 queries) to itself. It computes the scores and dp of its rows so that rows
// are what it accumulates for: transposed for the keys, k qᵀ and v dyᵀ, so that pᵀ and dsᵀ leave
// these products in the layout in which the next ones take them, and never see memory (but for the
// sums of a relative bias along diagonals).
#pragma once

#include "cuda/attention_backward_fp32.cuh"
#include "cuda/attention_bf16.cuh"

namespace farsight {

/// Rows of a tile that goes by: as many as registers allow.
template <int width>
inline constexpr int kTensorStreamed = width > 64 ? 16 : 32;

/// Adds factor times a lane's part of row r (0, or 1 for the one 8 below) to a row of a gradient.
template <int width>
__device__ void add_pairs(real* row, int64_t D, const float (&sum)[width / 8][4], int r,
                          float factor) {
#pragma unroll
  for (int d = 0; d < width / 8; ++d)
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int column = d * 8 + threadIdx.x % 4 * 2 + j;
      if (column < D) row[column] += factor * sum[d][2 * r + j];
    }
}

template <int width>
struct KeysBf16Shared {
  Bf16Tile<kTensorStreamed<width>, width> q, dy;
  float lse[kTensorStreamed<width>], delta[kTensorStreamed<width>];
  Bf16Tile<kTensorTile, width> kept;  // keys, then values, on their way to registers
};

/// dk and dv (either may be null) of a tile of keys.
template <int width>
__global__ void __launch_bounds__(kTensorThreads, 1)
    attention_backward_keys_bf16(real* dk, real* dv, BackwardInputs in) {
  constexpr int kQueries = kTensorStreamed<width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(KeysBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int key = static_cast<int>(blockIdx.x) * kTensorTile;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows queries(in.q, b, h, s.Tq, s, in.fours), dys(in.dy, b, h, s.Tq, s, in.fours);
  // Queries before `start` see nothing of the tile, nor do those whose windows lie behind it.
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int start = key > offset ? (key - offset) / kQueries * kQueries : 0;
  const int end =
      window > 0 && window < s.Tk ? min(Tq, key + kTensorTile - 1 + window - offset) : Tq;

  WarpRows<width> k_rows, v_rows;
  load_tile_bf16<kTensorTile, width>(shared->kept, HeadRows(in.k, b, h, s.Tk, s, in.fours), key);
  __syncthreads();
  k_rows.load(shared->kept, warp_row);
  __syncthreads();
  load_tile_bf16<kTensorTile, width>(shared->kept, HeadRows(in.v, b, h, s.Tk, s, in.fours), key);
  __syncthreads();
  v_rows.load(shared->kept, warp_row);

  float dk_sum[width / 8][4] = {}, dv_sum[width / 8][4] = {};
  for (int first = start; first < end; first += kQueries) {
    __syncthreads();
    load_tile_bf16<kQueries, width>(shared->q, queries, first);
    load_tile_bf16<kQueries, width>(shared->dy, dys, first);
    if (threadIdx.x < kQueries) {
      const int i = min(first + static_cast<int>(threadIdx.x), Tq - 1);
      const int64_t at = (b * s.H + h) * s.Tq + i;
      shared->lse[threadIdx.x] = in.lse[at];
      shared->delta[threadIdx.x] = in.delta[at];
    }
    __syncthreads();
    float p[kQueries / 8][4] = {}, ds[kQueries / 8][4] = {};
    k_rows.template multiply_rows<kQueries>(p, shared->q);
    v_rows.template multiply_rows<kQueries>(ds, shared->dy);
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int column = n * 8 + lane % 4 * 2 + j;
        const QueryRow row(first + column, h, in.bias, s, window);
        const bool exists = first + column < s.Tq;
        const float lse = shared->lse[column], delta = shared->delta[column];
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const int at = key + warp_row + lane / 4 + 8 * r;
          float& x = p[n][2 * r + j];
          x = exists && row.sees(at) ? __expf(row.score(x, at, s.scale) - lse) : 0.f;
          ds[n][2 * r + j] = x * (ds[n][2 * r + j] - delta);
        }
      }
    weigh_rows_bf16<kQueries, width>(dv_sum, p, shared->dy);
    weigh_rows_bf16<kQueries, width>(dk_sum, ds, shared->q);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int j = key + warp_row + lane / 4 + 8 * r;
    if (j >= s.Tk) continue;
    const int64_t at = ((b * s.Tk + j) * s.H + h) * s.D;
    if (dk) add_pairs<width>(dk + at, s.D, dk_sum, r, s.scale);
    if (dv) add_pairs<width>(dv + at, s.D, dv_sum, r, 1);
  }
}

template <int width>
struct QueriesBf16Shared {
  Bf16Tile<kTensorStreamed<width>, width> k, v;
  union {
    Bf16Tile<kTensorTile, width> kept;  // queries, then dy, on their way to registers
    PaddedTile<kTensorTile, kTensorStreamed<width>> ds;
  };
};

/// dq (may be null) of a tile of queries, and the block's sums of ds by distance (may be null):
/// by_distance (sequences, H, tiles of queries, Tk), of the launch's alone; zero before.
template <int width>
__global__ void __launch_bounds__(kTensorThreads, 1)
    attention_backward_queries_bf16(real* dq, real* by_distance, BackwardInputs in) {
  constexpr int kKeys = kTensorStreamed<width>;
  const AttentionSizes& s = in.s;
  DYN_SHARED(QueriesBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * 16;
  const int64_t h = blockIdx.y, b = in.first_sequence + blockIdx.z;
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);  // of the launch's
  const int first = (in.first_tile + tile) * kTensorTile;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows keys(in.k, b, h, s.Tk, s, in.fours), values(in.v, b, h, s.Tk, s, in.fours);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kTensorTile, Tq);
  real* const sums =
      by_distance ? by_distance + ((blockIdx.z * s.H + h) * gridDim.x + tile) * s.Tk : nullptr;

  WarpRows<width> q_rows, dy_rows;
  load_tile_bf16<kTensorTile, width>(shared->kept, HeadRows(in.q, b, h, s.Tq, s, in.fours), first);
  __syncthreads();
  q_rows.load(shared->kept, warp_row);
  __syncthreads();
  load_tile_bf16<kTensorTile, width>(shared->kept, HeadRows(in.dy, b, h, s.Tq, s, in.fours), first);
  __syncthreads();
  dy_rows.load(shared->kept, warp_row);

  const QueryRow rows[2] = {QueryRow(first + warp_row + lane / 4, h, in.bias, s, window),
                            QueryRow(first + warp_row + lane / 4 + 8, h, in.bias, s, window)};
  float lse[2], delta[2];
  for (int r = 0; r < 2; ++r) {
    const int i = min(first + warp_row + lane / 4 + 8 * r, Tq - 1);
    lse[r] = in.lse[(b * s.H + h) * s.Tq + i];
    delta[r] = in.delta[(b * s.H + h) * s.Tq + i];
  }
  float dq_sum[width / 8][4] = {};
  for (int key = oldest; key < end; key += kKeys) {
    __syncthreads();
    load_tile_bf16<kKeys, width>(shared->k, keys, key);
    load_tile_bf16<kKeys, width>(shared->v, values, key);
    __syncthreads();
    float p[kKeys / 8][4] = {}, ds[kKeys / 8][4] = {};
    q_rows.template multiply_rows<kKeys>(p, shared->k);
    dy_rows.template multiply_rows<kKeys>(ds, shared->v);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int r = e / 2, column = n * 8 + lane % 4 * 2 + e % 2;
        const bool seen = rows[r].sees(key + column) && first + warp_row + lane / 4 + 8 * r < s.Tq;
        const float mass =
            seen ? __expf(rows[r].score(p[n][e], key + column, s.scale) - lse[r]) : 0.f;
        ds[n][e] = mass * (ds[n][e] - delta[r]);
        if (sums) shared->ds[warp_row + lane / 4 + 8 * r][column] = ds[n][e];
      }
    weigh_rows_bf16<kKeys, width>(dq_sum, ds, shared->k);
    if (sums) {
      __syncthreads();
      const int number = threadIdx.x;
      if (number < kTensorTile + kKeys - 1) {
        const int distance = offset + first - key + number - (kKeys - 1);
        const real sum = diagonal_sum<kTensorTile, kKeys>(shared->ds, number);
        if (distance >= 0 && distance < s.Tk) sums[distance] += sum;
      }
    }
  }
  if (!dq) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int i = first + warp_row + lane / 4 + 8 * r;
    if (i < s.Tq) add_pairs<width>(dq + ((b * s.Tq + i) * s.H + h) * s.D, s.D, dq_sum, r, s.scale);
  }
}

}  // namespace farsight
