// What the forward and the backward pass of attention share: the size of their tiles, which keys a
// query sees, and how one head's rows lie in memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/backend.h"

namespace farsight {

// A tile of scores is kTileQ x kTileK: 32 KiB in float, small enough for the first-level cache
// beside the keys it meets, large enough for the matrix products to run near full speed.
inline constexpr int64_t kTileQ = 64;
inline constexpr int64_t kTileK = 128;

/// A half-open range of keys or of columns of a tile.
struct Range {
  int64_t begin, end;
  bool empty() const { return begin >= end; }
};

/// The keys that the query at `position` attends to; window 0 = all before it.
inline Range visible_keys(int64_t position, int64_t window) {
  return {window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position + 1};
}

/// The part of `keys` that falls into the tile of `width` keys from `first`, as columns.
inline Range columns_in_tile(Range keys, int64_t first, int64_t width) {
  return {std::max(keys.begin, first) - first, std::min(keys.end, first + width) - first};
}

/// Adds the bias of head h, query row i (counted from the call's first query) to the columns of a
/// tile's row whose first column is key `first`.
inline void add_bias(real* row, Range columns, const BiasView& bias, int64_t h, int64_t i,
                     int64_t first) {
  if (!bias.base) return;
  const real* from = bias.base + h * bias.head_stride + i * bias.row_stride + first;
#pragma omp simd
  for (int64_t c = columns.begin; c < columns.end; ++c) row[c] += from[c];
}

}  // namespace farsight
