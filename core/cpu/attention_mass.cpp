// Where attention goes: the probabilities p = e^(score - lse), computed again tile by tile as in
// the backward pass and summed by distance. Nothing of size T x T is held.
#include <vector>

#include "core/cpu/attention_products.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

template <class Products>
void sum_by_distance(real* mass, real* entropy, const real* lse, const real* q, const real* k,
                     const BiasView& bias, const AttentionSizes& s, int64_t first_query) {
  const int64_t C = s.H * s.D;
#pragma omp parallel
  {
    std::vector<real> scores(kTileK * kTileQ);
    std::vector<typename Products::Packed> queries_packed(Products::size(kTileQ, s.D)),
        keys_packed(Products::size(kTileK, s.D));
    std::vector<double> total(s.Tk);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < s.H; ++h) {
      const int64_t window = s.windows ? s.windows[h] : 0;
      std::fill(total.begin(), total.end(), 0.0);
      double nats = 0;
      const int64_t blocks = (s.Tq - first_query + kTileQ - 1) / kTileQ;
      for (int64_t unit = 0; unit < s.B * blocks; ++unit) {
        const int64_t b = unit % s.B, first = first_query + unit / s.B * kTileQ;
        const int64_t queries = std::min(kTileQ, s.Tq - first), start = s.offset + first;
        const real* const log_total = lse + (b * s.H + h) * s.Tq + first;
        Products::pack_queries(queries_packed.data(), q + (b * s.Tq + first) * C + h * s.D, C,
                               queries, s.D);
        const int64_t end = start + queries;
        for (int64_t key = visible_keys(start, window).begin; key < end; key += kTileK) {
          const Tile tile{key, std::min(kTileK, end - key), first, queries, s.offset, window};
          Products::pack_keys(keys_packed.data(), k + (b * s.Tk + key) * C + h * s.D, C, tile.keys,
                              s.D);
          Products::scores(scores.data(), tile, keys_packed.data(), queries_packed.data(), s.D,
                           s.scale);
          for (int64_t r = 0; r < tile.keys; ++r) {
            real* const row = scores.data() + r * kTileQ;
            const Range columns = tile.columns({r, r + 1});
            add_bias(row, columns, bias, h, first, key + r);
            for (int64_t c = columns.begin; c < columns.end; ++c) {
              const real log_p = row[c] - log_total[c], p = exp_fast(log_p);
              total[start + c - key - r] += p;
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

}  // namespace

void CpuBackend::attention_mass(real* mass, real* entropy, const real* lse, const real* q,
                                const real* k, const BiasView& bias, const AttentionSizes& s,
                                int64_t first_query) {
  with_products(precision_, [&](auto products) {
    sum_by_distance<decltype(products)>(mass, entropy, lse, q, k, bias, s, first_query);
  });
}

}  // namespace farsight
