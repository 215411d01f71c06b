// Fused causal attention, forward, on tensor cores (FlashAttention-2, Dao 2023): bf16 in the
// products, fp32 in the softmax and in all sums.
//
// A block of 4 warps does a tile of 64 queries of one head and goes through the keys in tiles
// of 64. A warp has 16 queries to itself, whose fragments stay in registers, so that its rows'
// largest scores and totals need no other warp: a row lies in the four lanes of a quad. The
// probabilities leave the first product in the layout in which the second takes them, and never see
// memory. Keys and values are rounded on their way to shared memory (18 KiB for heads of 64);
// several blocks share a multiprocessor, and one computes while another loads.
#pragma once

#include "cuda/attention_tile.cuh"
#include "cuda/fragments.cuh"

namespace farsight {

inline constexpr int kTensorThreads = 128;
inline constexpr int kTensorTile = 64;  // queries of a block, 16 for each warp

/// Rows first … of a head to shared memory, rounded.
template <int rows, int width>
__device__ void load_tile_bf16(Bf16Tile<rows, width>& to, const HeadRows& head, int first) {
  for (int unit = threadIdx.x; unit < rows * (width / 4); unit += kTensorThreads) {
    const int row = unit / (width / 4), d = unit % (width / 4) * 4;
    const Four x = head.four(first + row, d);
    *reinterpret_cast<uint2*>(&to[row][d]) =
        make_uint2(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]));
  }
}

/// The fragments of a warp's 16 rows of a tile.
template <int width>
struct WarpRows {
  uint32_t a[width / 16][4];

  template <int stride>
  __device__ void load(const Bf16 (*tile)[stride], int first) {
#pragma unroll
    for (int d = 0; d < width / 16; ++d) load_a(a[d], tile, first, d * 16);
  }

  /// sum (16, columns) += these rows times the rows of a tile (a bᵀ).
  template <int columns, int stride>
  __device__ void multiply_rows(float (&sum)[columns / 8][4], const Bf16 (*tile)[stride]) const {
#pragma unroll
    for (int d = 0; d < width / 16; ++d)
#pragma unroll
      for (int n = 0; n < columns; n += 16) {
        uint32_t b[4];
        load_b_transposed(b, tile, n, d * 16);
        multiply(sum[n / 8], a[d], b, 0);
        multiply(sum[n / 8 + 1], a[d], b, 1);
      }
  }
};

/// sum (16, width) += weights (16, inner), as a product has left them, times a tile (inner, width).
template <int inner, int width, int stride>
__device__ void weigh_rows_bf16(float (&sum)[width / 8][4], const float (&weights)[inner / 8][4],
                                const Bf16 (*tile)[stride]) {
#pragma unroll
  for (int k = 0; k < inner; k += 16) {
    uint32_t a[4];
    pack_a(a, weights[k / 8], weights[k / 8 + 1]);
#pragma unroll
    for (int d = 0; d < width; d += 16) {
      uint32_t b[4];
      load_b(b, tile, d, k);
      multiply(sum[d / 8], a, b, 0);
      multiply(sum[d / 8 + 1], a, b, 1);
    }
  }
}

template <int width>
struct ForwardBf16Shared {
  Bf16Tile<kTensorTile, width> k, v;  // the queries come through k's place first
};

template <int width>
__global__ void __launch_bounds__(kTensorThreads, 1)
    attention_forward_bf16(real* y, real* lse, const real* q, const real* k, const real* v,
                           BiasView bias, AttentionSizes s, bool fours) {
  constexpr int kKeys = kTensorTile;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  DYN_SHARED(ForwardBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * 16;
  const int64_t h = blockIdx.y, b = blockIdx.z;
  // Later tiles see more keys: they start first, so that the device is busy to the end.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kTensorTile;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows keys(k, b, h, s.Tk, s, fours), values(v, b, h, s.Tk, s, fours);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kTensorTile, Tq);

  WarpRows<width> queries;
  load_tile_bf16<kTensorTile, width>(shared->k, HeadRows(q, b, h, s.Tq, s, fours), first);
  __syncthreads();
  queries.load(shared->k, warp_row);

  // Of the warp's 16 rows, a lane has parts of two.
  const QueryRow rows[2] = {QueryRow(first + warp_row + lane / 4, h, bias, s, window),
                            QueryRow(first + warp_row + lane / 4 + 8, h, bias, s, window)};
  float mixed[width / 8][4] = {}, largest[2] = {-kInfinity, -kInfinity}, total[2] = {};
  for (int key = oldest; key < end; key += kKeys) {
    __syncthreads();  // all are done with the tiles of the step before
    load_tile_bf16<kKeys, width>(shared->k, keys, key);
    load_tile_bf16<kKeys, width>(shared->v, values, key);
    __syncthreads();
    float p[kKeys / 8][4] = {};
    queries.template multiply_rows<kKeys>(p, shared->k);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = largest[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& score = p[n][2 * r + j];
          const int at = key + n * 8 + lane % 4 * 2 + j;
          score = rows[r].sees(at) ? rows[r].score(score, at, s.scale) : -kInfinity;
          top = Largest::of(score, top);
        }
      top = over_lanes<Largest, 4>(top);
      // A row that has seen nothing yet would make infinity - infinity.
      const float base = top == -kInfinity ? 0.f : top;
      const float shrink = __expf(largest[r] - base);
      float sum = 0;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          p[n][2 * r + j] = __expf(p[n][2 * r + j] - base);
          sum += p[n][2 * r + j];
        }
      total[r] = total[r] * shrink + over_lanes<Sum, 4>(sum);
      largest[r] = top;
#pragma unroll
      for (int d = 0; d < width / 8; ++d) {
        mixed[d][2 * r] *= shrink;
        mixed[d][2 * r + 1] *= shrink;
      }
    }
    weigh_rows_bf16<kKeys, width>(mixed, p, shared->v);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int i = first + warp_row + lane / 4 + 8 * r;
    if (i >= s.Tq) continue;
    real* to = y + ((b * s.Tq + i) * s.H + h) * s.D;
    const float inverse = 1 / total[r];
#pragma unroll
    for (int d = 0; d < width / 8; ++d)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int column = d * 8 + lane % 4 * 2 + j;
        if (column < s.D) to[column] = mixed[d][2 * r + j] * inverse;
      }
    if (lane % 4 == 0) lse[(b * s.H + h) * s.Tq + i] = largest[r] + std::log(total[r]);
  }
}

}  // namespace farsight
