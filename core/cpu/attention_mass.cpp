// Where attention goes: the probabilities p = e^(score - lse), computed again tile by tile as in
// the backward pass and summed by distance. Nothing of size T x T is held.
#include <vector>

#include "core/cpu/attention_tile.h"
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/vector_math.h"

namespace farsight {

void CpuBackend::attention_mass(real* mass, real* entropy, const real* lse, const real* q,
                                const real* k, const BiasView& bias, const AttentionSizes& s,
                                int64_t first_query) {
  const int64_t C = s.H * s.D;
#pragma omp parallel
  {
    std::vector<real> scores(kTileQ * kTileK);
    std::vector<double> total(s.Tk);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < s.H; ++h) {
      const int64_t window = s.windows ? s.windows[h] : 0;
      std::fill(total.begin(), total.end(), 0.0);
      double nats = 0;
      const int64_t blocks = (s.Tq - first_query + kTileQ - 1) / kTileQ;
      for (int64_t unit = 0; unit < s.B * blocks; ++unit) {
        const int64_t b = unit % s.B, first = first_query + unit / s.B * kTileQ;
        const int64_t rows = std::min(kTileQ, s.Tq - first), end = s.offset + first + rows;
        const real* q_tile = q + (b * s.Tq + first) * C + h * s.D;
        for (int64_t key = visible_keys(s.offset + first, window).begin; key < end; key += kTileK) {
          const int64_t width = std::min(kTileK, end - key);
          const real* k_tile = k + (b * s.Tk + key) * C + h * s.D;
          blas_gemm(false, true, rows, width, s.D, s.scale, q_tile, C, k_tile, C, 0, scores.data(),
                    kTileK);
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t position = s.offset + first + r;
            const Range columns = columns_in_tile(visible_keys(position, window), key, width);
            real* row = scores.data() + r * kTileK;
            add_bias(row, columns, bias, h, first + r, key);
            const real log_total = lse[(b * s.H + h) * s.Tq + first + r];
            for (int64_t c = columns.begin; c < columns.end; ++c) {
              const real log_p = row[c] - log_total, p = exp_fast(log_p);
              total[position - key - c] += p;
              if (p > 0) nats -= p * log_p;  // windows and distance make many of them 0
            }
          }
        }
      }
      std::copy(total.begin(), total.end(), mass + h * s.Tk);
      entropy[h] = static_cast<real>(nats);
    }
  }
}

}  // namespace farsight
