// Fused causal attention, forward (after FlashAttention, Dao et al. 2022).
//
// For a block of queries, the keys go by in tiles. With m the largest score so far and l the sum of
// e^(score - m), a new tile with largest score m' rescales what was accumulated by e^(m - m') and
// adds its own part (online softmax), so that no more than one tile of scores exists per thread.
// Tiles after the block's last query, or before every query's window, are never computed.
//
// Work is split over (sequence, head, block of queries); each part is independent.
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/attention_tile.h"
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

/// One thread's working memory.
struct Scratch {
  explicit Scratch(int64_t D) : scores(kTileQ * kTileK), mixed(kTileQ * D) {}
  std::vector<real> scores;  // (kTileQ, kTileK): scores, then e^(score - largest)
  std::vector<real> mixed;   // (kTileQ, D): the accumulated rows of e^(…) v
  real largest[kTileQ], total[kTileQ];
};

/// Turns a row's visible scores into e^(score - largest), others into 0, and rescales what the row
/// has accumulated from earlier tiles.
void online_softmax(real* row, Range columns, int64_t width, real& largest, real& total,
                    real* mixed, int64_t D) {
  if (columns.empty()) {
    std::fill(row, row + width, real(0));
    return;
  }
  real top = largest;
#pragma omp simd reduction(max : top)
  for (int64_t c = columns.begin; c < columns.end; ++c) top = std::max(top, row[c]);
  real sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = columns.begin; c < columns.end; ++c) {
    row[c] = exp_fast(row[c] - top);
    sum += row[c];
  }
  std::fill(row, row + columns.begin, real(0));
  std::fill(row + columns.end, row + width, real(0));
  const real shrink = exp_fast(largest - top);
#pragma omp simd
  for (int64_t d = 0; d < D; ++d) mixed[d] *= shrink;
  total = total * shrink + sum;
  largest = top;
}

}  // namespace

void CpuBackend::attention(real* y, real* lse, const real* q, const real* k, const real* v,
                           const BiasView& bias, const AttentionSizes& s) {
  const int64_t C = s.H * s.D;  // distance between the rows of a head
  const int64_t blocks = (s.Tq + kTileQ - 1) / kTileQ;
#pragma omp parallel
  {
    Scratch scratch(s.D);
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < s.B * s.H * blocks; ++unit) {
      // Later blocks see more keys: handing them out first keeps the threads busy to the end.
      const int64_t block = blocks - 1 - unit / (s.B * s.H);
      const int64_t b = unit % (s.B * s.H) / s.H, h = unit % s.H;
      const int64_t first = block * kTileQ, rows = std::min(kTileQ, s.Tq - first);
      const int64_t window = s.windows ? s.windows[h] : 0;
      const int64_t oldest = visible_keys(s.offset + first, window).begin;
      const int64_t end = s.offset + first + rows;
      const real* q_block = q + (b * s.Tq + first) * C + h * s.D;

      std::fill(scratch.mixed.begin(), scratch.mixed.end(), real(0));
      std::fill_n(scratch.largest, rows, -std::numeric_limits<real>::infinity());
      std::fill_n(scratch.total, rows, real(0));
      for (int64_t key = oldest; key < end; key += kTileK) {
        const int64_t width = std::min(kTileK, end - key);
        const int64_t at = (b * s.Tk + key) * C + h * s.D;
        blas_gemm(false, true, rows, width, s.D, s.scale, q_block, C, k + at, C, 0,
                  scratch.scores.data(), kTileK);
        for (int64_t r = 0; r < rows; ++r) {
          real* row = scratch.scores.data() + r * kTileK;
          const Range columns =
              columns_in_tile(visible_keys(s.offset + first + r, window), key, width);
          add_bias(row, columns, bias, h, first + r, key);
          online_softmax(row, columns, width, scratch.largest[r], scratch.total[r],
                         scratch.mixed.data() + r * s.D, s.D);
        }
        blas_gemm(false, false, rows, s.D, width, 1, scratch.scores.data(), kTileK, v + at, C, 1,
                  scratch.mixed.data(), s.D);
      }
      for (int64_t r = 0; r < rows; ++r) {
        real* to = y + (b * s.Tq + first + r) * C + h * s.D;
        const real* from = scratch.mixed.data() + r * s.D;
        const real inverse = 1 / scratch.total[r];
#pragma omp simd
        for (int64_t d = 0; d < s.D; ++d) to[d] = from[d] * inverse;
        lse[(b * s.H + h) * s.Tq + first + r] = scratch.largest[r] + std::log(scratch.total[r]);
      }
    }
  }
}

}  // namespace farsight
