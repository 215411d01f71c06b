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
#include <algorithm>
#include <limits>

#include "core/buffer.h"
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

/// One thread's working memory for a head, whose rows lie together here.
struct Scratch {
  real* p;                       // (kTileK, kTileQ) probabilities
  real* ds;                      // (kTileK, kTileQ) dp, then ds
  real *delta, *lse;             // (Tq), padded to whole blocks of queries
  real *q, *dy, *dq;             // (Tq, D)
  real *k, *v, *dk, *dv;         // (Tk, D)
  real *q_columns, *dy_columns;  // (blocks, D, kTileQ), by transpose_queries()

  Scratch(real* memory, const AttentionSizes& s) {
    const auto place = [&memory](int64_t size, auto&... parts) {
      ((parts = memory, memory += size), ...);
    };
    place(kTileK * kTileQ, p, ds);
    place(padded(s.Tq), delta, lse);
    place(s.Tq * s.D, q, dy, dq);
    place(s.Tk * s.D, k, v, dk, dv);
    place(padded(s.Tq) * s.D, q_columns, dy_columns);
  }
  static int64_t size(const AttentionSizes& s) {
    return 2 * (kTileK * kTileQ + padded(s.Tq) * (1 + s.D)) + (3 * s.Tq + 4 * s.Tk) * s.D;
  }
  static int64_t padded(int64_t Tq) { return (Tq + kTileQ - 1) / kTileQ * kTileQ; }
};

/// Not inlined: gcc would vectorise the loop around it instead, by gathering columns.
[[gnu::noinline]] real dot(const real* a, const real* b, int64_t n) {
  real total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

/// Adds n rows of D numbers to rows that are `stride` apart, if those are wanted.
void scatter(real* to, const real* from, int64_t n, int64_t stride, int64_t D) {
  for (int64_t i = 0; to && i < n; ++i) {
#pragma omp simd
    for (int64_t d = 0; d < D; ++d) to[i * stride + d] += from[i * D + d];
  }
}

/// Turns scores and dp into probabilities and ds, 0 where a query does not see a key, and adds ds
/// to the bias's gradient.
void tile_gradient(Scratch& scratch, const Tile& tile, const BiasView& bias, int64_t h) {
  const real *const lse = scratch.lse + tile.first, *const delta = scratch.delta + tile.first;
  for (int64_t r = 0; r < tile.keys; ++r) {
    real* const p = scratch.p + r * kTileQ;
    real* const ds = scratch.ds + r * kTileQ;
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

  gather(scratch.q, head.q, s.Tq, C, D);
  gather(scratch.dy, head.dy, s.Tq, C, D);
  gather(scratch.k, head.k, s.Tk, C, D);
  gather(scratch.v, head.v, s.Tk, C, D);
  for (int64_t first = 0; first < s.Tq; first += kTileQ) {
    const int64_t queries = std::min(kTileQ, s.Tq - first), at = first * D;
    transpose_queries(scratch.q_columns + at, scratch.q + at, D, queries, D);
    transpose_queries(scratch.dy_columns + at, scratch.dy + at, D, queries, D);
    std::fill_n(scratch.lse + first, kTileQ, real(0));
    std::fill_n(scratch.delta + first, kTileQ, real(0));
  }
  std::copy_n(head.lse, s.Tq, scratch.lse);
  for (int64_t i = 0; i < s.Tq; ++i) scratch.delta[i] = dot(scratch.dy + i * D, head.y + i * C, D);
  std::fill_n(scratch.dq, s.Tq * D, real(0));
  std::fill_n(scratch.dk, s.Tk * D, real(0));
  std::fill_n(scratch.dv, s.Tk * D, real(0));

  real *const p = scratch.p, *const ds = scratch.ds;
  for (int64_t key = 0; key < s.offset + s.Tq; key += kTileK) {
    const real *const k = scratch.k + key * D, *const v = scratch.v + key * D;
    // Queries at positions before `key` see nothing of this tile.
    const int64_t start = std::max<int64_t>(0, key - s.offset) / kTileQ * kTileQ;
    for (int64_t first = start; first < s.Tq; first += kTileQ) {
      const int64_t queries = std::min(kTileQ, s.Tq - first);
      const int64_t keys = std::min(kTileK, s.offset + first + queries - key);
      if (visible_keys(s.offset + first, window).begin >= key + keys) break;
      const Tile tile{key, keys, first, queries, s.offset, window};
      tile_scores(p, tile, k, D, scratch.q_columns + first * D, D, s.scale);
      tile_scores(ds, tile, v, D, scratch.dy_columns + first * D, D, 1);
      tile_gradient(scratch, tile, bias, h);
      if (head.dv) add_to_keys(scratch.dv + key * D, tile, p, scratch.dy + first * D, D, D, 1);
      if (head.dk)
        add_to_keys(scratch.dk + key * D, tile, ds, scratch.q + first * D, D, D, s.scale);
      if (head.dq) add_to_queries(scratch.dq + first * D, D, tile, ds, k, D, D, s.scale);
    }
  }
  scatter(head.dq, scratch.dq, s.Tq, C, D);
  scatter(head.dk, scratch.dk, s.Tk, C, D);
  scatter(head.dv, scratch.dv, s.Tk, C, D);
}

}  // namespace

void CpuBackend::attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                                    const real* lse, const real* q, const real* k, const real* v,
                                    const BiasView& bias, const AttentionSizes& s) {
  const int64_t together = bias.grad ? s.B : 1;
  const auto at = [](auto* pointer, int64_t offset) {
    return pointer ? pointer + offset : pointer;
  };
  const Buffer memory(sizeof(real) * Scratch::size(s) * omp_get_max_threads(), *this);
#pragma omp parallel
  {
    Scratch scratch(static_cast<real*>(memory.data()) + Scratch::size(s) * omp_get_thread_num(), s);
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
