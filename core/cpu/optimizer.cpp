// Sums in a fixed order, and AdamW (Loshchilov & Hutter 2019) in one pass.
#include <cmath>
#include <vector>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {
namespace {

/// Sum of f(i) over n elements, the same for any number of threads: blocks of fixed size in
/// parallel, in `real` over so many partial sums that each has few terms; then the blocks in order,
/// in double.
template <class F>
real block_sum(int64_t n, const F& f) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> partial(blocks);
  parallel_rows(blocks, kBlock, [&](int64_t b) {
    constexpr int64_t kSums = 64;
    real sums[kSums] = {};
    const int64_t begin = b * kBlock, end = std::min(n, begin + kBlock);
    const int64_t whole = begin + (end - begin) / kSums * kSums;
    for (int64_t i = begin; i < whole; i += kSums) {
#pragma omp simd
      for (int64_t j = 0; j < kSums; ++j) sums[j] += f(i + j);
    }
    for (int64_t i = whole; i < end; ++i) sums[0] += f(i);
    for (const real sum : sums) partial[b] += sum;
  });
  double total = 0;
  for (const double value : partial) total += value;
  return static_cast<real>(total);
}

}  // namespace

void CpuBackend::sum(real* y, const real* x, int64_t n) {
  y[0] = block_sum(n, [=](int64_t i) { return x[i]; });
}

void CpuBackend::sum_squares(real* y, const real* x, int64_t n) {
  y[0] = block_sum(n, [=](int64_t i) { return x[i] * x[i]; });
}

void CpuBackend::adamw(real* p, real* m, real* v, real* g, const real* norm_squared, int64_t n,
                       const AdamWStep& step) {
  const real norm = std::sqrt(norm_squared[0]);
  if (!std::isfinite(norm)) {
    fill(g, 0, n);
    return;
  }
  const real shrink = step.max_norm > 0 && norm > step.max_norm ? step.max_norm / norm : real(1);
  const real keep = 1 - step.rate * step.decay;
  const real beta1 = step.beta1, beta2 = step.beta2, epsilon = step.epsilon;
  const real rate = step.rate / step.correction1, scale = 1 / std::sqrt(step.correction2);
  parallel_elements(n, [=](int64_t i) {
    const real gradient = shrink * g[i];
    g[i] = 0;
    m[i] = beta1 * m[i] + (1 - beta1) * gradient;
    v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
    p[i] = keep * p[i] - rate * m[i] / (std::sqrt(v[i]) * scale + epsilon);
  });
}

}  // namespace farsight
