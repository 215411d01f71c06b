// The products of tiles in attention, in fp32 and in bf16. Each kind says how its operands are
// packed and multiplies what it packed:
//
//   scores[key][query]  = scale * Σ_d k[key][d] q[query][d]               pack_keys, pack_queries
//   y[query][d]        += scale * Σ_key weights[key][query] x[key][d]     pack_values of kTileK
//   y[key][d]          += scale * Σ_query weights[key][query] x[query][d] pack_values of kTileQ
//
// Scores and weights are tiles of kTileK x kTileQ floats, and so are the sums; the weights of pairs
// that do not see each other are 0. Registers' blocks in which no pair does are left out.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/backend.h"
#include "core/cpu/attention_tile.h"
#include "core/cpu/tile.h"
#if defined(__x86_64__)
#include "core/cpu/bf16_tile.h"
#endif

namespace farsight {

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// Copies n rows of D numbers, `stride` apart, together: a multiple of the width apart, many of
/// them fall into the same few places of the caches.
inline void gather(real* to, const real* from, int64_t n, int64_t stride, int64_t D) {
  for (int64_t i = 0; i < n; ++i) std::copy_n(from + i * stride, D, to + i * D);
}

/// out (4, 4), rows `out_stride` apart = x (4, 4) transposed, rows `stride` apart.
inline void transpose_four(real* out, int64_t out_stride, const real* x, int64_t stride) {
  using V = Vector<4>;
  const auto row = [=](int64_t i) { return load_vector<4>(x + i * stride); };
  const V low01 = __builtin_shufflevector(row(0), row(1), 0, 4, 1, 5);
  const V high01 = __builtin_shufflevector(row(0), row(1), 2, 6, 3, 7);
  const V low23 = __builtin_shufflevector(row(2), row(3), 0, 4, 1, 5);
  const V high23 = __builtin_shufflevector(row(2), row(3), 2, 6, 3, 7);
  const auto store = [=](int64_t i, const V& y) { store_vector<4>(out + i * out_stride, y); };
  store(0, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
  store(1, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
  store(2, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
  store(3, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
}

/// Operands as they are; queries stand as columns, so that scores come out a vector of queries at a
/// time.
struct Fp32Products {
  using Packed = real;

  /// Elements of so many packed rows of D numbers.
  static int64_t size(int64_t rows, int64_t D) { return rows * D; }

  /// As they are, but together.
  static void pack_keys(real* out, const real* x, int64_t stride, int64_t count, int64_t D) {
    gather(out, x, count, stride, D);
  }
  static void pack_values(real* out, int64_t /*fit*/, const real* x, int64_t stride, int64_t count,
                          int64_t D) {
    gather(out, x, count, stride, D);
  }

  /// (D, kTileQ): rows as columns; zeros in the columns beyond.
  static void pack_queries(real* out, const real* x, int64_t stride, int64_t count, int64_t D) {
    const int64_t fours = count / 4 * 4, whole = D / 4 * 4;
    for (int64_t i = 0; i < fours; i += 4)
      for (int64_t d = 0; d < whole; d += 4)
        transpose_four(out + d * kTileQ + i, kTileQ, x + i * stride + d, stride);
    for (int64_t i = 0; i < kTileQ; ++i)
      for (int64_t d = i < fours ? whole : 0; d < D; ++d)
        out[d * kTileQ + i] = i < count ? x[i * stride + d] : 0;
  }

  static void scores(real* scores, const Tile& tile, const real* k, const real* q, int64_t D,
                     real scale) {
    constexpr int64_t kColumns = 2 * kVector;
    for (int64_t row = 0; row < tile.keys; row += kRegisterRows) {
      const int64_t end = std::min<int64_t>(tile.keys, row + kRegisterRows);
      const Range columns = tile.columns({row, end});
      if (columns.empty()) continue;
      const int64_t begin = columns.begin / kColumns * kColumns;
      const int64_t width = round_up(columns.end - begin, kColumns);
      small_product<true, false>(scores + row * kTileQ + begin, kTileQ, k + row * D, D, q + begin,
                                 kTileQ, end - row, width, D, scale);
    }
  }

  static void add_to_queries(real* y, const Tile& tile, const real* weights, const real* x,
                             int64_t D, real scale) {
    for (int64_t column = 0; column < tile.queries; column += kRegisterRows) {
      const int64_t end = std::min<int64_t>(tile.queries, column + kRegisterRows);
      const Range rows = tile.rows({column, end});
      if (rows.empty()) continue;
      small_product<false, true>(y + column * D, D, weights + rows.begin * kTileQ + column, kTileQ,
                                 x + rows.begin * D, D, end - column, D, rows.size(), scale);
    }
  }

  static void add_to_keys(real* y, const Tile& tile, const real* weights, const real* x, int64_t D,
                          real scale) {
    for (int64_t row = 0; row < tile.keys; row += kRegisterRows) {
      const int64_t end = std::min<int64_t>(tile.keys, row + kRegisterRows);
      const Range columns = tile.columns({row, end});
      if (columns.empty()) continue;
      small_product<true, true>(y + row * D, D, weights + row * kTileQ + columns.begin, kTileQ,
                                x + columns.begin * D, D, end - row, D, columns.size(), scale);
    }
  }
};

#if defined(__x86_64__)

/// Operands rounded to bf16, in the panels of bf16_tile.h; sums in fp32.
struct Bf16Products {
  using Packed = uint32_t;

  static int64_t size(int64_t rows, int64_t D) {
    return round_up(rows, kLanes) * round_up(D, kLanes) / 2;
  }

  /// Panels of 16 rows, each pair after pair of their D numbers.
  static void pack_keys(uint32_t* out, const float* x, int64_t stride, int64_t count, int64_t D) {
    pack_lanes(out, panel(D), x, stride, count, D);
  }
  static void pack_queries(uint32_t* out, const float* x, int64_t stride, int64_t count,
                           int64_t D) {
    std::fill_n(out, count < kTileQ ? size(kTileQ, D) : 0, 0);
    pack_lanes(out, panel(D), x, stride, count, D);
  }
  /// Panels of 16 of the D numbers, each pair after pair of the rows that fit.
  static void pack_values(uint32_t* out, int64_t fit, const float* x, int64_t stride, int64_t count,
                          int64_t D) {
    pack_rows(out, panel(fit), x, stride, D, count);
  }

  static void scores(float* scores, const Tile& tile, const uint32_t* k, const uint32_t* q,
                     int64_t D, float scale) {
    constexpr int64_t kColumns = kTilePanels * kLanes;
    for (int64_t row = 0; row < tile.keys; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, tile.keys - row);
      const Range columns = tile.columns({row, row + rows});
      if (columns.empty()) continue;
      const int64_t begin = columns.begin / kColumns * kColumns;
      multiply_strip({scores + row * kTileQ + begin, kTileQ, scale, 0, nullptr, nullptr, false},
                     lane(k, row, panel(D)), lane(q, begin, panel(D)), panel(D), panel(D), rows,
                     round_up(columns.end - begin, kColumns));
    }
  }

  static void add_to_queries(float* y, const Tile& tile, const float* weights, const uint32_t* x,
                             int64_t D, float scale) {
    alignas(64) uint32_t packed[kTileK * kTileQ / 2];
    pack_rows(packed, panel(tile.keys), weights, kTileQ, tile.queries, tile.keys);
    add_strips(y, tile.queries, packed, panel(tile.keys), x, panel(kTileK), D, scale,
               [&](Range columns) { return tile.rows(columns); });
  }

  static void add_to_keys(float* y, const Tile& tile, const float* weights, const uint32_t* x,
                          int64_t D, float scale) {
    alignas(64) uint32_t packed[kTileK * kTileQ / 2];
    pack_lanes(packed, panel(tile.queries), weights, kTileQ, tile.keys, tile.queries);
    add_strips(y, tile.keys, packed, panel(tile.queries), x, panel(kTileQ), D, scale,
               [&](Range rows) { return tile.columns(rows); });
  }

 private:
  /// Words of a panel of K numbers of each lane.
  static int64_t panel(int64_t K) { return round_up(K, 2) / 2 * kLanes; }
  /// Where a lane begins.
  static const uint32_t* lane(const uint32_t* packed, int64_t lane, int64_t panel_size) {
    return packed + lane / kLanes * panel_size + lane % kLanes;
  }
  /// y[lane] += scale * the sum of weights times x over what some of the strip's lanes see.
  template <class Seen>
  static void add_strips(float* y, int64_t lanes, const uint32_t* weights, int64_t weight_panel,
                         const uint32_t* x, int64_t x_panel, int64_t D, float scale,
                         const Seen& seen_by) {
    for (int64_t first = 0; first < lanes; first += kTileRows) {
      const int64_t count = std::min(kTileRows, lanes - first);
      const Range seen = seen_by(Range{first, first + count});
      if (seen.empty()) continue;
      const int64_t before = seen.begin / 2 * kLanes;
      multiply_strip({y + first * D, D, scale, 1, nullptr, nullptr, false},
                     lane(weights, first, weight_panel) + before, x + before, x_panel,
                     panel(seen.end) - before, count, D);
    }
  }
  /// Up to kTileRows rows and any number of columns; `words` of each panel of b count.
  FARSIGHT_BF16 static void multiply_strip(TileResult result, const uint32_t* a, const uint32_t* b,
                                           int64_t panel_size, int64_t words, int64_t rows,
                                           int64_t columns) {
    for (; columns > kLanes; columns -= kTilePanels * kLanes) {
      multiply_tile<kTilePanels>(result, a, b, panel_size, words / kLanes, rows, columns);
      result.c += kTilePanels * kLanes;
      b += kTilePanels * panel_size;
    }
    if (columns > 0) multiply_tile<1>(result, a, b, panel_size, words / kLanes, rows, columns);
  }
};

#endif

/// f(products) for this precision.
template <class F>
void with_products(Precision precision, const F& f) {
#if defined(__x86_64__)
  if constexpr (sizeof(real) == sizeof(float))
    if (precision == Precision::kBf16) return f(Bf16Products());
#endif
  f(Fp32Products());
}

}  // namespace farsight
