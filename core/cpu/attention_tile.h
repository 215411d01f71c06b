// What the kernels of attention share: the size of their tiles, who sees what, and how a bias is
// added. Their products of tiles are in attention_products.h.
//
// Tiles of scores lie with the keys outermost, tile[key][query]: maxima and sums over a query's
// keys are then made for a vector of queries at once, without sums across a vector's lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/backend.h"
#include "core/real.h"

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
