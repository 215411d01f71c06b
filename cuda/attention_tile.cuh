// What the attention kernels on the ordinary arithmetic units share: which keys a query sees, tiles
// of rows in shared memory, and the three products of tiles that attention is made of.
//
// A block has 256 threads as 16 x 16: thread (ty, tx). Tiles lie row by row in shared memory, rows
// 4 floats longer than the (padded) head width: 16 lanes that read groups of four from 16
// successive rows, or from one row, then meet no bank twice. Heads narrower than `width` are padded
// with zeros, which change no product.
#pragma once

#include "cuda/bf16.h"
#include "cuda/kernel.h"

namespace farsight {

inline constexpr int kAttentionThreads = 256;
inline constexpr int kPadding = 4;

/// A half-open range of keys. Positions in a sequence fit 32 bits, and registers are dear.
struct KeyRange {
  int begin, end;
};

/// The keys that the query at `position` attends to; window 0 = all before it.
__device__ inline KeyRange visible_keys(int position, int window) {
  return {window > 0 && position - window + 1 > 0 ? position - window + 1 : 0, position + 1};
}

/// Where one head of one sequence lies: element (row, d) at [row * stride + d].
struct HeadRows {
  const real* from;
  int64_t stride;
  int rows, D;
  bool fours;

  __device__ HeadRows(const real* x, int64_t b, int64_t h, int64_t T, const AttentionSizes& s,
                      bool fours)
      : from(x + (b * T * s.H + h) * s.D),
        stride(s.H * s.D),
        rows(static_cast<int>(T)),
        D(static_cast<int>(s.D)),
        fours(fours) {}

  /// Of rows first, first + step, … the four neighbours from d on; zeros beyond the head's width or
  /// the last row. None of the loads waits for another.
  template <int count, int step>
  __device__ void fetch(Four (&x)[count], int first, int d) const {
    const real* const at = from + first * stride + d;
    if (fours) {
#pragma unroll
      for (int i = 0; i < count; ++i) {
        x[i] = Four{{0, 0, 0, 0}};
        if (first + i * step < rows && d < D) x[i] = load_four(at + i * step * stride);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < count; ++i)
      for (int j = 0; j < 4; ++j)
        x[i].v[j] = first + i * step < rows && d + j < D ? at[i * step * stride + j] : real(0);
  }
};

template <int rows, int columns>
using PaddedTile = real[rows][columns + kPadding];

/// Rows first … of a head to shared memory, `rounded` to bf16 for those who go on from products of
/// bf16.
template <int rows, int width, bool rounded = false>
__device__ void load_tile(PaddedTile<rows, width>& to, const HeadRows& head, int first) {
  constexpr int kFours = width / 4, kStep = kAttentionThreads / kFours, kCount = rows / kStep;
  static_assert(rows % kStep == 0);
  const int row = threadIdx.x / kFours, d = threadIdx.x % kFours * 4;
  Four x[kCount];
  head.fetch<kCount, kStep>(x, first + row, d);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if constexpr (rounded)
      for (real& value : x[i].v) value = through_bf16(value);
    store_four(&to[row + i * kStep][d], x[i]);
  }
}

/// The columns of a tile that thread tx works on in products whose columns are head elements:
/// groups of neighbours, `width / 16` numbers in all.
template <int width>
struct Columns {
  static constexpr int kCount = width / 16;
  static constexpr int kTogether = kCount < 4 ? kCount : 4;
  static constexpr int kGroups = kCount / kTogether;
  __device__ static int of(int tx, int group) { return (group * 16 + tx) * kTogether; }

  /// sum[w] += weight * the thread's columns of a row.
  __device__ static void add(real (&sum)[kCount], real weight, const real* row, int tx) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const auto x = *reinterpret_cast<const Neighbours<kTogether>*>(row + of(tx, g));
#pragma unroll
      for (int j = 0; j < kTogether; ++j) sum[g * kTogether + j] += weight * x.v[j];
    }
  }

  /// The thread's columns of a row of D: row = beta * row + factor * sum. `fours`: D is a multiple
  /// of four and the row is aligned.
  __device__ static void store(real* row, real beta, int D, bool fours, const real (&sum)[kCount],
                               real factor, int tx) {
    using Group = Neighbours<kTogether>;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int d = of(tx, g);
      Group x;
#pragma unroll
      for (int j = 0; j < kTogether; ++j) x.v[j] = factor * sum[g * kTogether + j];
      if (fours && d < D) {
        Group* const to = reinterpret_cast<Group*>(row + d);
        if (beta != 0)
          for (int j = 0; j < kTogether; ++j) x.v[j] += to->v[j];
        *to = x;
      } else {
        for (int j = 0; j < kTogether; ++j)
          if (d + j < D) row[d + j] = beta != 0 ? row[d + j] + x.v[j] : x.v[j];
      }
    }
  }
};

/// sum[r][c] += a's row ty + 16 r times b's row tx + 16 c (a bᵀ).
template <int rows, int columns, int width>
__device__ void multiply_rows(real (&sum)[rows / 16][columns / 16],
                              const PaddedTile<rows, width>& a, const PaddedTile<columns, width>& b,
                              int tx, int ty) {
#pragma unroll 4
  for (int d = 0; d < width; d += 4) {
    Four a_part[rows / 16], b_part[columns / 16];
#pragma unroll
    for (int r = 0; r < rows / 16; ++r) a_part[r] = load_four(&a[ty + 16 * r][d]);
#pragma unroll
    for (int c = 0; c < columns / 16; ++c) b_part[c] = load_four(&b[tx + 16 * c][d]);
#pragma unroll
    for (int r = 0; r < rows / 16; ++r)
#pragma unroll
      for (int c = 0; c < columns / 16; ++c)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[r][c] += a_part[r].v[j] * b_part[c].v[j];
  }
}

/// sum[r] += a's row ty + 16 r times b, in the thread's columns (a b).
template <int rows, int inner, int width>
__device__ void weigh_rows(real (&sum)[rows / 16][width / 16], const PaddedTile<rows, inner>& a,
                           const PaddedTile<inner, width>& b, int tx, int ty) {
#pragma unroll 2
  for (int k = 0; k < inner; k += 4) {
    Four a_part[rows / 16];
#pragma unroll
    for (int r = 0; r < rows / 16; ++r) a_part[r] = load_four(&a[ty + 16 * r][k]);
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int r = 0; r < rows / 16; ++r) Columns<width>::add(sum[r], a_part[r].v[j], b[k + j], tx);
  }
}

/// sum[r] += a's column ty * (columns / 16) + r times b, in the thread's columns (aᵀ b).
template <int inner, int columns, int width>
__device__ void weigh_rows_transposed(real (&sum)[columns / 16][width / 16],
                                      const PaddedTile<inner, columns>& a,
                                      const PaddedTile<inner, width>& b, int tx, int ty) {
  constexpr int kRows = columns / 16;
#pragma unroll 4
  for (int k = 0; k < inner; ++k) {
    const auto weights = *reinterpret_cast<const Neighbours<kRows>*>(&a[k][ty * kRows]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) Columns<width>::add(sum[r], weights.v[r], b[k], tx);
  }
}

/// One query row of a thread: what it sees, and its row of the bias (null = none).
struct QueryRow {
  KeyRange keys;
  const real* bias;

  /// Rows behind the last stand for the last one: what they make is thrown away.
  __device__ QueryRow(int i, int64_t h, const BiasView& view, const AttentionSizes& s, int window) {
    i = i < s.Tq ? i : static_cast<int>(s.Tq) - 1;
    keys = visible_keys(static_cast<int>(s.offset) + i, window);
    bias = view.base ? view.base + h * view.head_stride + i * view.row_stride : nullptr;
  }

  __device__ bool sees(int key) const { return key >= keys.begin && key < keys.end; }
  __device__ real score(real product, int key, real scale) const {
    return scale * product + (bias ? bias[key] : real(0));
  }
};

/// The distances query - key in a tile of queries from `first` (a position) and keys from `key`,
/// numbered 0 … queries + keys - 2: thread number n sums the tile's entries at distance
/// first - key + n - (keys - 1). Lanes start at different columns, so that they meet no bank twice.
template <int queries, int keys>
__device__ real diagonal_sum(const PaddedTile<queries, keys>& tile, int number) {
  const int shift = number - (keys - 1), turn = threadIdx.x % kWarp / 8;
  real total = 0;
  for (int step = 0; step < keys; ++step) {
    const int c = (step + turn) % keys, r = c + shift;
    if (r >= 0 && r < queries) total += tile[r][c];
  }
  return total;
}

/// Calls f with a struct whose kWidth is the padded head width. Throws if D is too large.
template <class F>
void with_head_width(int64_t D, const F& f) {
  check(D <= 128, "heads of ", D, " are wider than the 128 that --device cuda computes; ",
        "use more heads or --device cpu");
  if (D <= 32) return f(std::integral_constant<int, 32>());
  if (D <= 64) return f(std::integral_constant<int, 64>());
  return f(std::integral_constant<int, 128>());
}

/// Rows of the tile that a block keeps, by head width: what fits 64 KiB of shared memory.
template <int width>
inline constexpr int kTileRows = width * sizeof(real) <= 256 ? 64 : 32;

/// Sums of a tile's entries by distance, for all tiles of queries of all heads: by_distance (B, H,
/// tiles, Tk) are the partial sums, to which each block adds in its own row. Adds their sum, in
/// order, to to[h * head_stride + distance * step]. A thread per distance and head.
template <int step>
__global__ void __launch_bounds__(kAttentionThreads)
    add_by_distance(real* to, int64_t head_stride, const real* by_distance, int64_t B, int64_t H,
                    int64_t tiles, int64_t Tk) {
  const int64_t d = static_cast<int64_t>(blockIdx.x) * kAttentionThreads + threadIdx.x;
  const int64_t h = blockIdx.y;
  if (d >= Tk) return;
  double total = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < tiles; ++t) total += by_distance[((b * H + h) * tiles + t) * Tk + d];
  to[h * head_stride + step * d] += static_cast<real>(total);
}

/// Calls f(first sequence, sequences, first tile, tiles) for all sequences and tiles of queries, as
/// many at once as let their sums by distance be `most` numbers, one tile of one sequence at least.
template <class F>
void for_portions(int64_t B, int64_t tiles, int64_t sums_of_tile, int64_t most, const F& f) {
  const int64_t fitting = std::max<int64_t>(1, most / std::max<int64_t>(1, sums_of_tile));
  const int64_t tiles_at_once = std::min(tiles, fitting);
  const int64_t at_once = std::max<int64_t>(1, std::min(B, fitting / tiles_at_once));
  for (int64_t b = 0; b < B; b += at_once)
    for (int64_t tile = 0; tile < tiles; tile += tiles_at_once)
      f(b, std::min(at_once, B - b), tile, std::min(tiles_at_once, tiles - tile));
}

}  // namespace farsight
