// Layer normalisation (Ba et al. 2016), row by row.
//
// With x̂ = (x - mean) rstd and g = gain dy, the derivative of a row of C elements is
//   dx = rstd (g - mean(g) - x̂ mean(g x̂)).
#include <cmath>
#include <vector>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {

void CpuBackend::layer_norm(real* y, real* mean, real* rstd, RoundedCopy*, const real* x,
                            const real* gain, const real* shift, int64_t N, int64_t C,
                            real epsilon) {
  parallel_rows(N, C, [=](int64_t n) {
    const real* xn = x + n * C;
    real* yn = y + n * C;
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t c = 0; c < C; ++c) total += xn[c];
    const real m = total / C;
    // A second pass: E[x²] - m² would cancel.
    real squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t c = 0; c < C; ++c) squares += (xn[c] - m) * (xn[c] - m);
    const real r = 1 / std::sqrt(squares / C + epsilon);
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) yn[c] = (xn[c] - m) * r * gain[c] + shift[c];
    mean[n] = m;
    rstd[n] = r;
  });
}

void CpuBackend::layer_norm_backward(real* dx, real* dgain, real* dshift, const real* dy,
                                     const real* x, const real* gain, const real* mean,
                                     const real* rstd, int64_t N, int64_t C) {
  std::vector<real> totals(2 * C, 0);
  const auto row = [=](int64_t n, real* sums) {
    // Copies of what the closure holds: the compiler must think that stores to `sums` change that.
    const real *xn = x + n * C, *dyn = dy + n * C, *weight = gain;
    const real m = mean[n], r = rstd[n];
    const int64_t width = C;
    real sum_g = 0, sum_gx = 0, *const gain_sums = sums, *const shift_sums = sums + width;
#pragma omp simd reduction(+ : sum_g, sum_gx)
    for (int64_t c = 0; c < width; ++c) {
      const real normed = (xn[c] - m) * r, g = weight[c] * dyn[c];
      sum_g += g;
      sum_gx += g * normed;
      gain_sums[c] += dyn[c] * normed;
      shift_sums[c] += dyn[c];
    }
    if (!dx) return;
    const real mean_g = sum_g / width, mean_gx = sum_gx / width;
    real* dxn = dx + n * width;
#pragma omp simd
    for (int64_t c = 0; c < width; ++c)
      dxn[c] += r * (weight[c] * dyn[c] - mean_g - (xn[c] - m) * r * mean_gx);
  };
  parallel_row_sums(N, C, 2 * C, row, totals.data());
  for (int64_t c = 0; c < C; ++c) {
    if (dgain) dgain[c] += totals[c];
    if (dshift) dshift[c] += totals[C + c];
  }
}

}  // namespace farsight
