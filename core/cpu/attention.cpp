// Fused causal attention, forward (after FlashAttention, Dao et al. 2022).
//
// For a block of queries, the keys go by in tiles. With m the largest score so far and l the sum of
// e^(score - m), a new tile with largest score m' rescales what was accumulated by e^(m - m') and
// adds its own part (online softmax), so that no more than one tile of scores exists per thread.
// Tiles after the block's last query, or before every query's window, are never computed, nor are
// the parts of a tile that no query of a register's block sees.
//
// Work is split over (sequence, head, block of queries); each part is independent.
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/attention_products.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

/// One thread's working memory for a block of queries.
template <class Products>
struct Scratch {
  explicit Scratch(int64_t D)
      : q(Products::size(kTileQ, D)),
        k(Products::size(kTileK, D)),
        v(Products::size(kTileK, D)),
        scores(kTileK * kTileQ),
        mixed(kTileQ * D) {}
  std::vector<typename Products::Packed> q, k, v;
  std::vector<real> scores;  // (kTileK, kTileQ): scores, then e^(score - largest)
  std::vector<real> mixed;   // (kTileQ, D): the accumulated rows of e^(…) v
  real largest[kTileQ], total[kTileQ], shrink[kTileQ];
};

/// Turns a tile's scores into e^(score - largest), others into 0, and says by how much what the
/// queries have accumulated from earlier tiles shrinks.
template <class Products>
void online_softmax(Scratch<Products>& scratch, const Tile& tile, const BiasView& bias, int64_t h) {
  constexpr real kNone = -std::numeric_limits<real>::infinity();
  real top[kTileQ], sum[kTileQ] = {};
  std::copy_n(scratch.largest, kTileQ, top);
  for (int64_t r = 0; r < tile.keys; ++r) {
    real* const row = scratch.scores.data() + r * kTileQ;
    const Range columns = tile.columns({r, r + 1});
    add_bias(row, columns, bias, h, tile.first, tile.key + r);
    fill_outside(row, columns, kNone);
#pragma omp simd
    for (int64_t c = 0; c < kTileQ; ++c) top[c] = std::max(top[c], row[c]);
  }
#pragma omp simd
  for (int64_t c = 0; c < kTileQ; ++c) {
    // A query that has seen no key yet has nothing to shrink.
    scratch.shrink[c] = top[c] == kNone ? real(0) : exp_fast(scratch.largest[c] - top[c]);
    scratch.largest[c] = top[c];
    top[c] = top[c] == kNone ? real(0) : top[c];
  }
  for (int64_t r = 0; r < tile.keys; ++r) {
    real* const row = scratch.scores.data() + r * kTileQ;
#pragma omp simd
    for (int64_t c = 0; c < kTileQ; ++c) {
      row[c] = exp_fast(row[c] - top[c]);
      sum[c] += row[c];
    }
  }
#pragma omp simd
  for (int64_t c = 0; c < kTileQ; ++c)
    scratch.total[c] = scratch.total[c] * scratch.shrink[c] + sum[c];
}

template <class Products>
void forward(real* y, real* lse, const real* q, const real* k, const real* v, const BiasView& bias,
             const AttentionSizes& s) {
  const int64_t C = s.H * s.D, D = s.D;  // C: distance between the rows of a head
  const int64_t blocks = (s.Tq + kTileQ - 1) / kTileQ;
#pragma omp parallel
  {
    Scratch<Products> scratch(D);
    real* const mixed = scratch.mixed.data();
    share_units(s.B, s.H * blocks, [&](int64_t unit, int64_t b) {
      const int64_t block = unit / s.H, h = unit % s.H;
      const int64_t first = block * kTileQ, queries = std::min(kTileQ, s.Tq - first);
      const int64_t window = s.windows ? s.windows[h] : 0;
      const int64_t end = s.offset + first + queries;

      Products::pack_queries(scratch.q.data(), q + (b * s.Tq + first) * C + h * D, C, queries, D);
      std::fill(scratch.mixed.begin(), scratch.mixed.end(), real(0));
      std::fill_n(scratch.largest, kTileQ, -std::numeric_limits<real>::infinity());
      std::fill_n(scratch.total, kTileQ, real(0));
      for (int64_t key = visible_keys(s.offset + first, window).begin; key < end; key += kTileK) {
        const Tile tile{key, std::min(kTileK, end - key), first, queries, s.offset, window};
        const int64_t at = (b * s.Tk + key) * C + h * D;
        Products::pack_keys(scratch.k.data(), k + at, C, tile.keys, D);
        Products::scores(scratch.scores.data(), tile, scratch.k.data(), scratch.q.data(), D,
                         s.scale);
        online_softmax(scratch, tile, bias, h);
        for (int64_t r = 0; r < queries; ++r) {
#pragma omp simd
          for (int64_t d = 0; d < D; ++d) mixed[r * D + d] *= scratch.shrink[r];
        }
        Products::pack_values(scratch.v.data(), kTileK, v + at, C, tile.keys, D);
        Products::add_to_queries(mixed, tile, scratch.scores.data(), scratch.v.data(), D, 1);
      }
      for (int64_t r = 0; r < queries; ++r) {
        real* const to = y + (b * s.Tq + first + r) * C + h * D;
        const real inverse = 1 / scratch.total[r];
#pragma omp simd
        for (int64_t d = 0; d < D; ++d) to[d] = mixed[r * D + d] * inverse;
        lse[(b * s.H + h) * s.Tq + first + r] = scratch.largest[r] + std::log(scratch.total[r]);
      }
    });
  }
}

}  // namespace

void CpuBackend::attention(real* y, real* lse, const Operand& q, const Operand& k, const Operand& v,
                           const BiasView& bias, const AttentionSizes& s) {
  with_products(precision_, [&](auto products) {
    forward<decltype(products)>(y, lse, q.data, k.data, v.data, bias, s);
  });
}

}  // namespace farsight
