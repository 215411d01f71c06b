// Sums in a fixed order, and AdamW (Loshchilov & Hutter 2019) in one pass.
#include <cmath>
#include <vector>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {
namespace {

/// Sum of f(i) over n elements: blocks of fixed size in parallel, then the blocks in order, both in
/// double, so that the result does not depend on the number of threads.
template <class F>
real block_sum(int64_t n, const F& f) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> partial(blocks);
  parallel_rows(blocks, kBlock, [&](int64_t b) {
    double total = 0;
    const int64_t end = std::min(n, (b + 1) * kBlock);
#pragma omp simd reduction(+ : total)
    for (int64_t i = b * kBlock; i < end; ++i) total += f(i);
    partial[b] = total;
  });
  double total = 0;
  for (const double value : partial) total += value;
  return static_cast<real>(total);
}

}  // namespace

void CpuBackend::sum(real* y, const real* x, int64_t n) {
  y[0] = block_sum(n, [=](int64_t i) { return static_cast<double>(x[i]); });
}

void CpuBackend::sum_squares(real* y, const real* x, int64_t n) {
  y[0] = block_sum(n, [=](int64_t i) { return static_cast<double>(x[i]) * x[i]; });
}

void CpuBackend::adamw(real* p, real* m, real* v, const real* g, const real* norm_squared,
                       int64_t n, const AdamWStep& step) {
  const real norm = std::sqrt(norm_squared[0]);
  if (!std::isfinite(norm)) return;
  const real shrink = step.max_norm > 0 && norm > step.max_norm ? step.max_norm / norm : real(1);
  const real keep = 1 - step.rate * step.decay;
  const real beta1 = step.beta1, beta2 = step.beta2, epsilon = step.epsilon;
  const real rate = step.rate / step.correction1, scale = 1 / std::sqrt(step.correction2);
  parallel_elements(n, [=](int64_t i) {
    const real gradient = shrink * g[i];
    m[i] = beta1 * m[i] + (1 - beta1) * gradient;
    v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
    p[i] = keep * p[i] - rate * m[i] / (std::sqrt(v[i]) * scale + epsilon);
  });
}

}  // namespace farsight
