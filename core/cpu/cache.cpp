// Attention of one new token to what the heads remember. Each head has a ring of its own size, so
// that one with a short window keeps little; the row of position p is p % capacity.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {

void CpuBackend::cache_store(const HeadCache* caches, const real* k, const real* v, int64_t first,
                             int64_t B, int64_t T, int64_t H, int64_t D) {
  parallel_rows(B * H, T * D, [=](int64_t unit) {
    const int64_t b = unit / H, h = unit % H;
    const auto& [keys, values, capacity] = caches[h];
    for (int64_t t = std::max<int64_t>(0, T - capacity); t < T; ++t) {
      const int64_t from = ((b * T + t) * H + h) * D;
      const int64_t to = (b * capacity + (first + t) % capacity) * D;
      std::copy_n(k + from, D, keys + to);
      std::copy_n(v + from, D, values + to);
    }
  });
}

void CpuBackend::cache_load(real* k, real* v, const HeadCache* caches, int64_t first, int64_t end,
                            int64_t B, int64_t T, int64_t H, int64_t D) {
  const int64_t count = end - first;
  parallel_rows(B * count, H * D, [=](int64_t row) {
    const int64_t b = row / count, t = row % count, position = first + t;
    for (int64_t h = 0; h < H; ++h) {
      const auto& [keys, values, capacity] = caches[h];
      const int64_t to = ((b * T + t) * H + h) * D;
      if (position < end - capacity) {
        std::fill_n(k + to, D, real(0));
        std::fill_n(v + to, D, real(0));
      } else {
        const int64_t from = (b * capacity + position % capacity) * D;
        std::copy_n(keys + from, D, k + to);
        std::copy_n(values + from, D, v + to);
      }
    }
  });
}

void CpuBackend::cache_attention(real* y, const real* q, const HeadCache* caches,
                                 const BiasView& bias, int64_t position, int64_t B, int64_t H,
                                 int64_t D) {
  const real scale = 1 / std::sqrt(static_cast<real>(D));
  int64_t longest = 0;
  for (int64_t h = 0; h < H; ++h) longest = std::max(longest, caches[h].capacity);
  longest = std::min(longest, position + 1);
#pragma omp parallel if (B * H * longest * D > kSerialElements)
  {
    std::vector<real> p(longest);
    // Heads with short windows are done soon, so that threads take them as they come.
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < B * H; ++unit) {
      const int64_t b = unit / H, h = unit % H;
      const real *keys = caches[h].keys, *values = caches[h].values;
      const int64_t capacity = caches[h].capacity;
      const int64_t count = std::min(capacity, position + 1), oldest = position + 1 - count;
      const real* query = q + unit * D;
      // f(i, row) for each key from the oldest on, and its row of the ring.
      const auto for_each_key = [=](const auto& f) {
        int64_t row = oldest % capacity;
        for (int64_t i = 0; i < count; ++i) {
          f(i, (b * capacity + row) * D);
          if (++row == capacity) row = 0;
        }
      };

      real largest = -std::numeric_limits<real>::infinity();
      for_each_key([&](int64_t i, int64_t row) {
        const real* key = keys + row;
        real score = 0;
#pragma omp simd reduction(+ : score)
        for (int64_t d = 0; d < D; ++d) score += query[d] * key[d];
        p[i] = scale * score + (bias.base ? bias.base[h * bias.head_stride + oldest + i] : 0);
        largest = std::max(largest, p[i]);
      });
      real total = 0;
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < count; ++i) {
        p[i] = exp_fast(p[i] - largest);
        total += p[i];
      }
      real* to = y + unit * D;
      std::fill_n(to, D, real(0));
      for_each_key([&](int64_t i, int64_t row) {
        const real weight = p[i] / total;
        const real* value = values + row;
#pragma omp simd
        for (int64_t d = 0; d < D; ++d) to[d] += weight * value[d];
      });
    }
  }
}

}  // namespace farsight
