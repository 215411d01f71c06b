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
#include <cstddef>
#include <limits>
#include <type_traits>

#include "core/buffer.h"
#include "core/cpu/attention_products.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

/// The pointers of one head of one sequence; rows are `C` apart.
struct HeadPointers {
  GradientSum dq, dk, dv;
  const real *dy, *y, *lse, *q, *k, *v;
};

/// One thread's working memory for a head, packed tile by tile.
template <class Products>
struct Scratch {
  using Packed = typename Products::Packed;
  real* p;                                  // (kTileK, kTileQ) probabilities
  real* ds;                                 // (kTileK, kTileQ) dp, then ds
  real *delta, *lse;                        // (Tq), padded to whole blocks of queries
  real* dq;                                 // (Tq, D)
  real *dk, *dv;                            // (Tk, D)
  Packed *q_columns, *dy_columns, *q, *dy;  // blocks of queries, for scores and as values
  Packed *k_rows, *v_rows, *k;              // tiles of keys, likewise
  int64_t query_block, key_tile;            // numbers from one packed block or tile to the next

  Scratch(std::byte* memory, const AttentionSizes& s)
      : query_block(Products::size(kTileQ, s.D)), key_tile(Products::size(kTileK, s.D)) {
    const auto place = [&memory](int64_t size, auto&... parts) {
      ((parts = reinterpret_cast<std::remove_reference_t<decltype(parts)>>(memory),
        memory += size * sizeof(*parts)),
       ...);
    };
    place(kTileK * kTileQ, p, ds);
    place(blocks(s) * kTileQ, delta, lse);
    place(s.Tq * s.D, dq);
    place(s.Tk * s.D, dk, dv);
    place(blocks(s) * query_block, q_columns, dy_columns, q, dy);
    place(tiles(s) * key_tile, k_rows, v_rows, k);
  }
  static size_t bytes(const AttentionSizes& s) {
    return sizeof(real) * (2 * kTileQ * (kTileK + blocks(s)) + (s.Tq + 2 * s.Tk) * s.D) +
           sizeof(Packed) * (4 * blocks(s) * Products::size(kTileQ, s.D) +
                             3 * tiles(s) * Products::size(kTileK, s.D));
  }
  static int64_t blocks(const AttentionSizes& s) { return (s.Tq + kTileQ - 1) / kTileQ; }
  static int64_t tiles(const AttentionSizes& s) { return (s.Tk + kTileK - 1) / kTileK; }
};

/// Not inlined: gcc would vectorise the loop around it instead, by gathering columns.
[[gnu::noinline]] real dot(const real* a, const real* b, int64_t n) {
  real total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

/// Adds n rows of D numbers to rows that are `stride` apart, if those are wanted.
void scatter(const GradientSum& sum, const real* from, int64_t n, int64_t stride, int64_t D) {
  for (int64_t i = 0; sum && i < n; ++i) {
    real* const to = sum.to + i * stride;
    if (sum.beta == 0) {
      std::copy_n(from + i * D, D, to);
      continue;
    }
#pragma omp simd
    for (int64_t d = 0; d < D; ++d) to[d] += from[i * D + d];
  }
}

/// Turns scores and dp into probabilities and ds, 0 where a query does not see a key, and adds ds
/// to the bias's gradient.
template <class Products>
void tile_gradient(Scratch<Products>& scratch, const Tile& tile, const BiasView& bias, int64_t h) {
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

template <class Products>
void head_backward(const HeadPointers& head, const BiasView& bias, const AttentionSizes& s,
                   int64_t h, Scratch<Products>& scratch) {
  const int64_t C = s.H * s.D, D = s.D;
  const int64_t window = s.windows ? s.windows[h] : 0;

  for (int64_t i = 0; i < scratch.blocks(s); ++i) {
    const int64_t first = i * kTileQ, queries = std::min(kTileQ, s.Tq - first);
    const int64_t to = i * scratch.query_block;
    const real *const q = head.q + first * C, *const dy = head.dy + first * C;
    Products::pack_queries(scratch.q_columns + to, q, C, queries, D);
    Products::pack_queries(scratch.dy_columns + to, dy, C, queries, D);
    Products::pack_values(scratch.q + to, kTileQ, q, C, queries, D);
    Products::pack_values(scratch.dy + to, kTileQ, dy, C, queries, D);
    std::fill_n(scratch.lse + first, kTileQ, real(0));
    std::fill_n(scratch.delta + first, kTileQ, real(0));
  }
  for (int64_t i = 0; i < scratch.tiles(s); ++i) {
    const int64_t key = i * kTileK, keys = std::min(kTileK, s.Tk - key), to = i * scratch.key_tile;
    Products::pack_keys(scratch.k_rows + to, head.k + key * C, C, keys, D);
    Products::pack_keys(scratch.v_rows + to, head.v + key * C, C, keys, D);
    Products::pack_values(scratch.k + to, kTileK, head.k + key * C, C, keys, D);
  }
  std::copy_n(head.lse, s.Tq, scratch.lse);
  for (int64_t i = 0; i < s.Tq; ++i) scratch.delta[i] = dot(head.dy + i * C, head.y + i * C, D);
  std::fill_n(scratch.dq, s.Tq * D, real(0));
  std::fill_n(scratch.dk, s.Tk * D, real(0));
  std::fill_n(scratch.dv, s.Tk * D, real(0));

  real *const p = scratch.p, *const ds = scratch.ds;
  for (int64_t key = 0; key < s.offset + s.Tq; key += kTileK) {
    const int64_t tile_at = key / kTileK * scratch.key_tile;
    // Queries at positions before `key` see nothing of this tile.
    const int64_t start = std::max<int64_t>(0, key - s.offset) / kTileQ * kTileQ;
    for (int64_t first = start; first < s.Tq; first += kTileQ) {
      const int64_t queries = std::min(kTileQ, s.Tq - first);
      const int64_t keys = std::min(kTileK, s.offset + first + queries - key);
      if (visible_keys(s.offset + first, window).begin >= key + keys) break;
      const Tile tile{key, keys, first, queries, s.offset, window};
      const int64_t block_at = first / kTileQ * scratch.query_block;
      Products::scores(p, tile, scratch.k_rows + tile_at, scratch.q_columns + block_at, D, s.scale);
      Products::scores(ds, tile, scratch.v_rows + tile_at, scratch.dy_columns + block_at, D, 1);
      tile_gradient(scratch, tile, bias, h);
      if (head.dv)
        Products::add_to_keys(scratch.dv + key * D, tile, p, scratch.dy + block_at, D, 1);
      if (head.dk)
        Products::add_to_keys(scratch.dk + key * D, tile, ds, scratch.q + block_at, D, s.scale);
      if (head.dq)
        Products::add_to_queries(scratch.dq + first * D, tile, ds, scratch.k + tile_at, D, s.scale);
    }
  }
  scatter(head.dk, scratch.dk, s.Tk, C, D);
  scatter(head.dv, scratch.dv, s.Tk, C, D);
  scatter(head.dq, scratch.dq, s.Tq, C, D);
}

template <class Products>
void backward(const HeadPointers& all, const BiasView& bias, const AttentionSizes& s,
              Backend& backend) {
  const int64_t together = bias.grad ? std::max<int64_t>(1, s.B) : 1;
  const auto at = [](const GradientSum& sum, int64_t offset) {
    return sum ? GradientSum{sum.to + offset, sum.beta} : sum;
  };
  const size_t bytes = Scratch<Products>::bytes(s);
  const int64_t busy = std::min<int64_t>(omp_get_max_threads(), s.B / together * s.H);
  const Buffer memory(bytes * busy, backend);
#pragma omp parallel
  if (omp_get_thread_num() < busy) {  // the others get no unit
    Scratch<Products> scratch(static_cast<std::byte*>(memory.data()) + bytes * omp_get_thread_num(),
                              s);
    share_units(s.B / together, s.H, [&](int64_t h, int64_t group) {
      for (int64_t b = group * together; b < (group + 1) * together; ++b) {
        const int64_t queries = b * s.Tq * s.H * s.D + h * s.D;
        const int64_t keys = b * s.Tk * s.H * s.D + h * s.D;
        const HeadPointers head{
            at(all.dq, queries), at(all.dk, keys), at(all.dv, keys),
            all.dy + queries,    all.y + queries,  all.lse + (b * s.H + h) * s.Tq,
            all.q + queries,     all.k + keys,     all.v + keys};
        head_backward(head, bias, s, h, scratch);
      }
    });
  }
}

}  // namespace

void CpuBackend::attention_backward(GradientSum dq, GradientSum dk, GradientSum dv,
                                    const Operand& dy, const real* y, const real* lse,
                                    const Operand& q, const Operand& k, const Operand& v,
                                    const BiasView& bias, const AttentionSizes& s) {
  with_products(precision_, [&](auto products) {
    backward<decltype(products)>({dq, dk, dv, dy.data, y, lse, q.data, k.data, v.data}, bias, s,
                                 *this);
  });
}

}  // namespace farsight
