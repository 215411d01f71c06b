// Fused causal attention, backward (after FlashAttention-2, Dao 2023).
//
// Nothing of size T x T was kept: each tile of probabilities is computed again as
// p = e^(score - lse). With s = scale q kᵀ + bias, y = p v and delta_i = Σ_d dy_id y_id,
//   dv = pᵀ dy     dp = dy vᵀ     ds = p (dp - delta)
//   dq = scale ds k     dk = scale dsᵀ q     dbias_ij = Σ_batch ds_ij
// where a relative bias adds up ds along diagonals: its view has row stride -1, so that the same
// line of code serves both kinds.
//
// One thread works through a head of a sequence, so that every sum has a fixed order; if the bias
// wants a gradient, through the head in all sequences, since they share it.
#include <limits>
#include <vector>

#include "core/cpu/attention_tile.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

/// The pointers of one head of one sequence; rows are `C` apart.
struct HeadPointers {
  real *dq, *dk, *dv;
  const real *dy, *y, *lse, *q, *k, *v;
};

/// One thread's working memory.
struct Scratch {
  Scratch(int64_t Tq, int64_t D)
      : p(kTileK * kTileQ),
        ds(kTileK * kTileQ),
        delta((Tq + kTileQ - 1) / kTileQ * kTileQ),
        lse(delta.size()),
        q(delta.size() * D),
        dy(delta.size() * D) {}
  std::vector<real> p;           // (kTileK, kTileQ) probabilities
  std::vector<real> ds;          // (kTileK, kTileQ) dp, then ds
  std::vector<real> delta, lse;  // (Tq), padded to whole blocks of queries
  std::vector<real> q, dy;       // (blocks, D, kTileQ), as transpose_queries() leaves them
};

/// Turns scores and dp into probabilities and ds, 0 where a query does not see a key, and adds ds
/// to the bias's gradient.
void tile_gradient(Scratch& scratch, const Tile& tile, const BiasView& bias, int64_t h) {
  const real *const lse = scratch.lse.data() + tile.first, *const delta =
                                                               scratch.delta.data() + tile.first;
  for (int64_t r = 0; r < tile.keys; ++r) {
    real* const p = scratch.p.data() + r * kTileQ;
    real* const ds = scratch.ds.data() + r * kTileQ;
    const Range columns = tile.columns({r, r + 1});
    add_bias(p, columns, bias, h, tile.first, tile.key + r);
    // e^-∞ = 0, whatever else stood there.
    fill_outside(p, columns, -std::numeric_limits<real>::infinity());
    fill_outside(ds, columns, 0);
#pragma omp simd
    for (int64_t c = 0; c < kTileQ; ++c) {
      p[c] = exp_fast(p[c] - lse[c]);
      ds[c] = p[c] * (ds[c] - delta[c]);
    }
    if (!bias.grad) continue;
    real* const to = bias.grad + h * bias.head_stride + tile.first * bias.row_stride + tile.key + r;
    for (int64_t c = columns.begin; c < columns.end; ++c) to[c * bias.row_stride] += ds[c];
  }
}

void head_backward(const HeadPointers& head, const BiasView& bias, const AttentionSizes& s,
                   int64_t h, Scratch& scratch) {
  const int64_t C = s.H * s.D, D = s.D;
  const int64_t window = s.windows ? s.windows[h] : 0;

  for (int64_t i = 0; i < s.Tq; ++i) {
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t d = 0; d < D; ++d) total += head.dy[i * C + d] * head.y[i * C + d];
    scratch.delta[i] = total;
  }
  std::copy_n(head.lse, s.Tq, scratch.lse.begin());
  for (int64_t first = 0; first < s.Tq; first += kTileQ) {
    const int64_t queries = std::min(kTileQ, s.Tq - first);
    transpose_queries(scratch.q.data() + first * D, head.q + first * C, C, queries, D);
    transpose_queries(scratch.dy.data() + first * D, head.dy + first * C, C, queries, D);
  }

  for (int64_t key = 0; key < s.offset + s.Tq; key += kTileK) {
    // Queries at positions before `key` see nothing of this tile.
    const int64_t start = std::max<int64_t>(0, key - s.offset) / kTileQ * kTileQ;
    for (int64_t first = start; first < s.Tq; first += kTileQ) {
      const int64_t queries = std::min(kTileQ, s.Tq - first);
      const int64_t keys = std::min(kTileK, s.offset + first + queries - key);
      if (visible_keys(s.offset + first, window).begin >= key + keys) break;
      const Tile tile{key, keys, first, queries, s.offset, window};
      tile_scores(scratch.p.data(), tile, head.k + key * C, C, scratch.q.data() + first * D, D,
                  s.scale);
      tile_scores(scratch.ds.data(), tile, head.v + key * C, C, scratch.dy.data() + first * D, D,
                  1);
      tile_gradient(scratch, tile, bias, h);
      const real *const p = scratch.p.data(), *const ds = scratch.ds.data();
      if (head.dv) add_to_keys(head.dv + key * C, tile, p, head.dy + first * C, C, D, 1);
      if (head.dk) add_to_keys(head.dk + key * C, tile, ds, head.q + first * C, C, D, s.scale);
      if (head.dq)
        add_to_queries(head.dq + first * C, C, tile, ds, head.k + key * C, C, D, s.scale);
    }
  }
}

}  // namespace

void CpuBackend::attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                                    const real* lse, const real* q, const real* k, const real* v,
                                    const BiasView& bias, const AttentionSizes& s) {
  const int64_t together = bias.grad ? s.B : 1;
  const auto at = [](auto* pointer, int64_t offset) {
    return pointer ? pointer + offset : pointer;
  };
#pragma omp parallel
  {
    Scratch scratch(s.Tq, s.D);
    share_units(s.B / together, s.H, [&](int64_t h, int64_t group) {
      for (int64_t b = group * together; b < (group + 1) * together; ++b) {
        const int64_t queries = b * s.Tq * s.H * s.D + h * s.D;
        const int64_t keys = b * s.Tk * s.H * s.D + h * s.D;
        const HeadPointers head{at(dq, queries), at(dk, keys), at(dv, keys),
                                dy + queries,    y + queries,  lse + (b * s.H + h) * s.Tq,
                                q + queries,     k + keys,     v + keys};
        head_backward(head, bias, s, h, scratch);
      }
    });
  }
}

}  // namespace farsight
