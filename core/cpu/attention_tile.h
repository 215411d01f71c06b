// What the kernels of attention share: the size of their tiles, who sees what, how a bias is added,
// and the products of tiles.
//
// Tiles of scores lie with the keys outermost, tile[key][query]: maxima and sums over a query's
// keys are then made for a vector of queries at once, without sums across a vector's lanes, and of
// all operands only the queries need to be transposed, once for all keys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/backend.h"
#include "core/cpu/tile.h"

namespace farsight {

// A tile of scores is kTileK x kTileQ: 32 KiB in float, small enough for the first-level cache
// beside what it meets.
inline constexpr int64_t kTileQ = 64;
inline constexpr int64_t kTileK = 128;

/// A half-open range of keys, or of rows or columns of a tile.
struct Range {
  int64_t begin, end;
  bool empty() const { return begin >= end; }
  int64_t size() const { return end - begin; }
};

/// The keys that the query at `position` attends to; window 0 = all before it.
inline Range visible_keys(int64_t position, int64_t window) {
  return {window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position + 1};
}

/// One tile: keys from `key` on, `keys` of them, and the call's queries from `first` on, `queries`
/// of them, at positions from offset + first; all of one head with one window.
struct Tile {
  int64_t key, keys, first, queries, offset, window;

  /// The columns whose queries see some of the rows begin … end - 1.
  Range columns(Range rows) const {
    const int64_t start = offset + first;
    const int64_t newest = window > 0 ? key + rows.end - 1 + window : start + queries;
    return {std::clamp<int64_t>(key + rows.begin - start, 0, queries),
            std::clamp<int64_t>(newest - start, 0, queries)};
  }
  /// The rows that some of the queries of the columns begin … end - 1 see.
  Range rows(Range columns) const {
    const int64_t start = offset + first;
    return {std::clamp<int64_t>(visible_keys(start + columns.begin, window).begin - key, 0, keys),
            std::clamp<int64_t>(start + columns.end - key, 0, keys)};
  }
};

/// Copies n rows of D numbers, `stride` apart, together: a multiple of the width apart, many of
/// them fall into the same few places of the caches.
inline void gather(real* to, const real* from, int64_t n, int64_t stride, int64_t D) {
  for (int64_t i = 0; i < n; ++i) std::copy_n(from + i * stride, D, to + i * D);
}

/// out (4, 4), rows `out_stride` apart = x (4, 4) transposed, rows `stride` apart.
inline void transpose_four(real* out, int64_t out_stride, const real* x, int64_t stride) {
  using V = Vector<4>;
  const auto row = [=](int64_t i) { return *reinterpret_cast<const V*>(x + i * stride); };
  const V low01 = __builtin_shufflevector(row(0), row(1), 0, 4, 1, 5);
  const V high01 = __builtin_shufflevector(row(0), row(1), 2, 6, 3, 7);
  const V low23 = __builtin_shufflevector(row(2), row(3), 0, 4, 1, 5);
  const V high23 = __builtin_shufflevector(row(2), row(3), 2, 6, 3, 7);
  const auto to = [=](int64_t i) -> V& { return *reinterpret_cast<V*>(out + i * out_stride); };
  to(0) = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  to(1) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  to(2) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  to(3) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/// out (D, kTileQ): the rows x (count, D), `stride` apart, as columns; zeros in the other columns.
inline void transpose_queries(real* out, const real* x, int64_t stride, int64_t count, int64_t D) {
  const int64_t fours = count / 4 * 4, whole = D / 4 * 4;
  for (int64_t i = 0; i < fours; i += 4)
    for (int64_t d = 0; d < whole; d += 4)
      transpose_four(out + d * kTileQ + i, kTileQ, x + i * stride + d, stride);
  for (int64_t i = 0; i < kTileQ; ++i)
    for (int64_t d = i < fours ? whole : 0; d < D; ++d)
      out[d * kTileQ + i] = i < count ? x[i * stride + d] : 0;
}

/// scores[key][query] = scale * k q for the pairs that see each other, and some others. k: the
/// tile's first key, rows `stride` apart; q (D, kTileQ) as transpose_queries() leaves them.
inline void tile_scores(real* scores, const Tile& tile, const real* k, int64_t stride,
                        const real* q, int64_t D, real scale) {
  constexpr int64_t kRows = kRegisterRows, kColumns = 2 * kVector;
  for (int64_t row = 0; row < tile.keys; row += kRows) {
    const int64_t end = std::min(tile.keys, row + kRows);
    const Range columns = tile.columns({row, end});
    if (columns.empty()) continue;
    const int64_t begin = columns.begin / kColumns * kColumns;
    const int64_t width = (columns.end - begin + kColumns - 1) / kColumns * kColumns;
    small_product<true, false>(scores + row * kTileQ + begin, kTileQ, k + row * stride, stride,
                               q + begin, kTileQ, end - row, width, D, scale);
  }
}

/// y[query] += scale * Σ_key weights[key][query] x[key]: rows of x and y of D numbers, `stride`
/// and `y_stride` apart. Weights of pairs that do not see each other are 0.
inline void add_to_queries(real* y, int64_t y_stride, const Tile& tile, const real* weights,
                           const real* x, int64_t stride, int64_t D, real scale) {
  for (int64_t column = 0; column < tile.queries; column += kRegisterRows) {
    const int64_t end = std::min<int64_t>(tile.queries, column + kRegisterRows);
    const Range rows = tile.rows({column, end});
    if (rows.empty()) continue;
    small_product<false, true>(
        y + column * y_stride, y_stride, weights + rows.begin * kTileQ + column, kTileQ,
        x + rows.begin * stride, stride, end - column, D, rows.size(), scale);
  }
}

/// y[key] += scale * Σ_query weights[key][query] x[query], likewise; rows of both `stride` apart.
inline void add_to_keys(real* y, const Tile& tile, const real* weights, const real* x,
                        int64_t stride, int64_t D, real scale) {
  for (int64_t row = 0; row < tile.keys; row += kRegisterRows) {
    const int64_t end = std::min<int64_t>(tile.keys, row + kRegisterRows);
    const Range columns = tile.columns({row, end});
    if (columns.empty()) continue;
    small_product<true, true>(y + row * stride, stride, weights + row * kTileQ + columns.begin,
                              kTileQ, x + columns.begin * stride, stride, end - row, D,
                              columns.size(), scale);
  }
}

/// Adds the bias of head h to the columns of a tile's row that see the key.
inline void add_bias(real* row, Range columns, const BiasView& bias, int64_t h, int64_t first,
                     int64_t key) {
  if (!bias.base) return;
  const real* from = bias.base + h * bias.head_stride + first * bias.row_stride + key;
  if (bias.row_stride == -1) {
#pragma omp simd
    for (int64_t c = columns.begin; c < columns.end; ++c) row[c] += from[-c];
  } else {
    for (int64_t c = columns.begin; c < columns.end; ++c) row[c] += from[c * bias.row_stride];
  }
}

/// Sets what lies outside of the columns.
inline void fill_outside(real* row, Range columns, real value) {
  if (columns.begin == 0 && columns.end == kTileQ) return;
  const auto begin = static_cast<int>(columns.begin), end = static_cast<int>(columns.end);
#pragma omp simd
  for (int c = 0; c < kTileQ; ++c) row[c] = c >= begin && c < end ? row[c] : value;
}

}  // namespace farsight
