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
#include <vector>

#include "core/cpu/attention_tile.h"
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

/// The pointers of one head of one sequence; rows are `C` apart.
struct HeadPointers {
  real *dq, *dk, *dv;
  const real *dy, *y, *lse, *q, *k, *v;
};

struct Scratch {
  explicit Scratch(int64_t Tq) : p(kTileQ * kTileK), ds(kTileQ * kTileK), delta(Tq) {}
  std::vector<real> p;      // (kTileQ, kTileK) probabilities
  std::vector<real> ds;     // (kTileQ, kTileK) dp, then ds
  std::vector<real> delta;  // (Tq)
};

void head_backward(const HeadPointers& head, const BiasView& bias, const AttentionSizes& s,
                   int64_t h, Scratch& scratch) {
  const int64_t C = s.H * s.D, D = s.D;
  const int64_t window = s.windows ? s.windows[h] : 0;
  real* const p = scratch.p.data();
  real* const ds = scratch.ds.data();

  for (int64_t i = 0; i < s.Tq; ++i) {
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t d = 0; d < D; ++d) total += head.dy[i * C + d] * head.y[i * C + d];
    scratch.delta[i] = total;
  }

  for (int64_t key = 0; key < s.offset + s.Tq; key += kTileK) {
    // Queries at positions before `key` see nothing of this tile.
    const int64_t start = std::max<int64_t>(0, key - s.offset) / kTileQ * kTileQ;
    for (int64_t first = start; first < s.Tq; first += kTileQ) {
      const int64_t rows = std::min(kTileQ, s.Tq - first);
      const int64_t width = std::min(kTileK, s.offset + first + rows - key);
      if (visible_keys(s.offset + first, window).begin >= key + width) break;
      const real* k_tile = head.k + key * C;
      const real* q_tile = head.q + first * C;
      const real* dy_tile = head.dy + first * C;

      blas_gemm(false, true, rows, width, D, s.scale, q_tile, C, k_tile, C, 0, p, kTileK);
      blas_gemm(false, true, rows, width, D, 1, dy_tile, C, head.v + key * C, C, 0, ds, kTileK);
      for (int64_t r = 0; r < rows; ++r) {
        real *p_row = p + r * kTileK, *ds_row = ds + r * kTileK;
        Range columns = columns_in_tile(visible_keys(s.offset + first + r, window), key, width);
        if (columns.empty()) columns = {width, width};
        add_bias(p_row, columns, bias, h, first + r, key);
        const real lse = head.lse[first + r], delta = scratch.delta[first + r];
#pragma omp simd
        for (int64_t c = columns.begin; c < columns.end; ++c) {
          p_row[c] = exp_fast(p_row[c] - lse);
          ds_row[c] = p_row[c] * (ds_row[c] - delta);
        }
        for (real* row : {p_row, ds_row}) {
          std::fill(row, row + columns.begin, real(0));
          std::fill(row + columns.end, row + width, real(0));
        }
        if (bias.grad) {
          real* to = bias.grad + h * bias.head_stride + (first + r) * bias.row_stride + key;
#pragma omp simd
          for (int64_t c = columns.begin; c < columns.end; ++c) to[c] += ds_row[c];
        }
      }
      if (head.dv)
        blas_gemm(true, false, width, D, rows, 1, p, kTileK, dy_tile, C, 1, head.dv + key * C, C);
      if (head.dk)
        blas_gemm(true, false, width, D, rows, s.scale, ds, kTileK, q_tile, C, 1, head.dk + key * C,
                  C);
      if (head.dq)
        blas_gemm(false, false, rows, D, width, s.scale, ds, kTileK, k_tile, C, 1,
                  head.dq + first * C, C);
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
    Scratch scratch(s.Tq);
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < s.B / together * s.H; ++unit) {
      const int64_t h = unit % s.H;
      for (int64_t b = unit / s.H * together; b < (unit / s.H + 1) * together; ++b) {
        const int64_t queries = b * s.Tq * s.H * s.D + h * s.D;
        const int64_t keys = b * s.Tk * s.H * s.D + h * s.D;
        const HeadPointers head{at(dq, queries), at(dk, keys), at(dv, keys),
                                dy + queries,    y + queries,  lse + (b * s.H + h) * s.Tq,
                                q + queries,     k + keys,     v + keys};
        head_backward(head, bias, s, h, scratch);
      }
    }
  }
}

}  // namespace farsight
