// Fused causal attention, forward, on tensor cores (FlashAttention-2, Dao 2023): bf16 in the
// products, fp32 in the softmax and in all sums.
//
// Queries, keys and values come from rounded copies (round_rows), each head's rows padded to 16
// bytes. A block of 4 warps does a tile of 128 queries of one head (64 of wide heads) and goes
// through the keys in tiles of 64; while it computes on one tile, asynchronous copies bring the
// next. A warp has 32 (16) queries to itself, whose fragments stay in registers, so that its rows'
// largest scores and totals need no other warp: a row lies in the four lanes of a quad. The
// probabilities leave the first product in the layout in which the second takes them, and never see
// memory. Each fragment of keys and values that comes from shared memory serves them all.
//
// Exponentials are powers of two, for which there is an instruction; scores are multiplied by
// log2 e beforehand, together with their scale. Only tiles that a mask's edge goes through are
// masked.
#pragma once

#include "cuda/attention_tile.cuh"
#include "cuda/fragments.cuh"

namespace farsight {

inline constexpr int kTensorThreads = 128;
/// Rows of a tile that goes by in the forward pass, and of one that the backward pass keeps.
inline constexpr int kTensorTile = 64;
inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// Rows of 16 that a warp of the forward pass keeps.
template <int width>
inline constexpr int kRowTiles = width > 64 ? 1 : 2;

/// Where one head of one sequence lies in a rounded copy.
struct RoundedHead {
  const Bf16* from;
  int64_t stride;
  int rows, pieces;  // of 16 bytes in a row

  __device__ RoundedHead(const Bf16* x, int64_t b, int64_t h, int64_t T, const AttentionSizes& s)
      : from(x + (b * T * s.H + h) * rounded_stride(s.D)),
        stride(s.H * rounded_stride(s.D)),
        rows(static_cast<int>(T)),
        pieces(static_cast<int>(rounded_stride(s.D)) / 8) {}

  /// Starts copies of rows first … to shared memory; zeros beyond the head's width or the last row.
  template <int count, int width>
  __device__ void start(SwizzledTile<count, width>& to, int first) const {
    constexpr int kPieces = width / 8, kStep = kTensorThreads / kPieces;
    static_assert(count % kStep == 0);
    const int row = threadIdx.x / kPieces, piece = threadIdx.x % kPieces;
    const Bf16* const at = from + (first + row) * stride + piece * 8;
#pragma unroll
    for (int down = 0; down < count; down += kStep) {
      const bool valid = first + row + down < rows && piece < pieces;
      gpu::cp_async16(to.at(row + down, piece * 8), valid ? at + down * stride : from, valid);
    }
  }
};

/// The fragments of 16 rows of a tile.
template <int width>
struct RowFragments {
  uint32_t a[width / 16][4];

  template <class Tile>
  __device__ void load(const Tile& tile, int first) {
#pragma unroll
    for (int d = 0; d < width / 16; ++d) load_a(a[d], tile, first, d * 16);
  }
};

/// sum (16 groups, columns) += the groups' rows times the rows of a tile (a bᵀ).
template <int groups, int columns, int width, class Tile>
__device__ void multiply_rows_bf16(float (&sum)[groups][columns / 8][4],
                                   const RowFragments<width> (&rows)[groups], const Tile& tile) {
#pragma unroll
  for (int d = 0; d < width / 16; ++d)
#pragma unroll
    for (int n = 0; n < columns; n += 16) {
      uint32_t b[4];
      load_b_transposed(b, tile, n, d * 16);
#pragma unroll
      for (int g = 0; g < groups; ++g) {
        multiply(sum[g][n / 8], rows[g].a[d], b, 0);
        multiply(sum[g][n / 8 + 1], rows[g].a[d], b, 1);
      }
    }
}

/// sum (16 groups, width) += weights (16 groups, inner), as a product has left them, times a tile
/// (inner, width).
template <int groups, int inner, int width, class Tile>
__device__ void weigh_rows_bf16(float (&sum)[groups][width / 8][4],
                                const float (&weights)[groups][inner / 8][4], const Tile& tile) {
#pragma unroll
  for (int k = 0; k < inner; k += 16) {
    uint32_t a[groups][4];
#pragma unroll
    for (int g = 0; g < groups; ++g) pack_a(a[g], weights[g][k / 8], weights[g][k / 8 + 1]);
#pragma unroll
    for (int d = 0; d < width; d += 16) {
      uint32_t b[4];
      load_b(b, tile, d, k);
#pragma unroll
      for (int g = 0; g < groups; ++g) {
        multiply(sum[g][d / 8], a[g], b, 0);
        multiply(sum[g][d / 8 + 1], a[g], b, 1);
      }
    }
  }
}

/// A lane's numbers of row r (0, or 1 for the one 8 below) of a sum (16, width), times `factor`: to
/// row[d] = beta * row[d] + factor * sum for d < D. `pairs`: D is even and rows are aligned.
template <int width>
__device__ void store_row(real* row, real beta, int D, bool pairs, const float (&sum)[width / 8][4],
                          int r, float factor) {
  using Pair = Neighbours<2>;
#pragma unroll
  for (int n = 0; n < width / 8; ++n) {
    const int d = n * 8 + threadIdx.x % 4 * 2;
    Pair x{{factor * sum[n][2 * r], factor * sum[n][2 * r + 1]}};
    if (pairs && d < D) {
      Pair* const to = reinterpret_cast<Pair*>(row + d);
      if (beta != 0)
        for (int j = 0; j < 2; ++j) x.v[j] += to->v[j];
      *to = x;
    } else {
      for (int j = 0; j < 2; ++j)
        if (d + j < D) row[d + j] = beta != 0 ? row[d + j] + x.v[j] : x.v[j];
    }
  }
}

template <int width>
struct ForwardBf16Shared {
  struct Stage {
    SwizzledTile<kTensorTile, width> k, v;
  };
  Stage stages[2];
  using Queries = SwizzledTile<kTensorThreads / kWarp * 16 * kRowTiles<width>, width>;
  static_assert(sizeof(Queries) <= sizeof(Stage));

  /// The queries come through the second stage first.
  __device__ Queries& queries() { return *reinterpret_cast<Queries*>(&stages[1]); }
};

template <int width>
__global__ void __launch_bounds__(kTensorThreads, 2)
    attention_forward_bf16(real* y, real* lse, const Bf16* q, const Bf16* k, const Bf16* v,
                           BiasView bias, AttentionSizes s, bool pairs) {
  constexpr int kKeys = kTensorTile, kGroups = kRowTiles<width>, kOfWarp = 16 * kGroups;
  constexpr int kQueries = kTensorThreads / kWarp * kOfWarp;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  DYN_SHARED(ForwardBf16Shared<width>, shared);
  const int lane = threadIdx.x % kWarp, warp_row = threadIdx.x / kWarp * kOfWarp;
  const int64_t h = blockIdx.y, b = blockIdx.z;
  // Later tiles see more keys: they start first, so that the device is busy to the end.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;
  const int window = s.windows ? s.windows[h] : 0;
  const RoundedHead keys(k, b, h, s.Tk, s), values(v, b, h, s.Tk, s);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kQueries, Tq);
  const auto start = [&](typename ForwardBf16Shared<width>::Stage& stage, int key) {
    keys.start(stage.k, key);
    values.start(stage.v, key);
    gpu::cp_async_commit();
  };

  RoundedHead(q, b, h, s.Tq, s).start(shared->queries(), first);
  gpu::cp_async_commit();
  start(shared->stages[0], oldest);
  gpu::cp_async_wait<1>();
  __syncthreads();
  RowFragments<width> queries[kGroups];
#pragma unroll
  for (int g = 0; g < kGroups; ++g) queries[g].load(shared->queries(), warp_row + 16 * g);

  // Of each 16 rows, a lane has parts of two.
  const auto row_of = [&](int g, int r) { return first + warp_row + 16 * g + 8 * r + lane / 4; };
  const float scale = s.scale * kLog2E;
  float mixed[kGroups][width / 8][4] = {}, largest[kGroups][2], total[kGroups][2] = {};
  for (int g = 0; g < kGroups; ++g) largest[g][0] = largest[g][1] = -kInfinity;
  for (int key = oldest, stage = 0; key < end; key += kKeys, stage ^= 1) {
    gpu::cp_async_wait<0>();
    __syncthreads();  // the tiles are there for all, and all are done with those before
    if (key + kKeys < end) start(shared->stages[stage ^ 1], key + kKeys);
    float p[kGroups][kKeys / 8][4] = {};
    multiply_rows_bf16<kGroups, kKeys>(p, queries, shared->stages[stage].k);
    const int lowest = offset + first + warp_row;  // position of the warp's first row
    const bool whole =
        key + kKeys - 1 <= lowest && (window <= 0 || key > lowest + kOfWarp - 1 - window);
#pragma unroll
    for (int g = 0; g < kGroups; ++g)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const QueryRow row(row_of(g, r), h, bias, s, window);
        const auto for_scores = [&](const auto& f) {
#pragma unroll
          for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
            for (int j = 0; j < 2; ++j) f(p[g][n][2 * r + j], key + n * 8 + lane % 4 * 2 + j);
        };
        if (row.bias)
          for_scores([&](float& score, int at) {
            score = scale * score + kLog2E * row.bias[min(at, row.keys.end - 1)];
          });
        else
          for_scores([&](float& score, int) { score *= scale; });
        if (!whole)
          for_scores([&](float& score, int at) { score = row.sees(at) ? score : -kInfinity; });
        float top = largest[g][r];
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
          top = fmaxf(top, fmaxf(p[g][n][2 * r], p[g][n][2 * r + 1]));
        top = over_lanes<Largest, 4>(top);
        // A row that has seen nothing yet would make infinity - infinity.
        const float base = top == -kInfinity ? 0.f : top;
        const float shrink = gpu::exp2_fast(largest[g][r] - base);
        float sum = 0;
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
          for (int j = 0; j < 2; ++j) {
            p[g][n][2 * r + j] = gpu::exp2_fast(p[g][n][2 * r + j] - base);
            sum += p[g][n][2 * r + j];
          }
        total[g][r] = total[g][r] * shrink + sum;  // of the lane; the quad's come together below
        largest[g][r] = top;
#pragma unroll
        for (int d = 0; d < width / 8; ++d) {
          mixed[g][d][2 * r] *= shrink;
          mixed[g][d][2 * r + 1] *= shrink;
        }
      }
    weigh_rows_bf16<kGroups, kKeys, width>(mixed, p, shared->stages[stage].v);
  }
#pragma unroll
  for (int g = 0; g < kGroups; ++g)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float sum = over_lanes<Sum, 4>(total[g][r]);
      const int i = row_of(g, r);
      if (i >= Tq) continue;
      store_row<width>(y + ((b * s.Tq + i) * s.H + h) * s.D, 0, static_cast<int>(s.D), pairs,
                       mixed[g], r, 1 / sum);
      if (lane % 4 == 0) lse[(b * s.H + h) * s.Tq + i] = kLn2 * largest[g][r] + std::log(sum);
    }
}

}  // namespace farsight
