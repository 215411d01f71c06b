// Layer normalisation (Ba et al. 2016), row by row.
//
// With x̂ = (x - mean) rstd and g = gain dy, the derivative of a row of C elements is
//   dx = rstd (g - mean(g) - x̂ mean(g x̂)).
#include <cmath>
#include <vector>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {

void CpuBackend::layer_norm(real* y, real* mean, real* rstd, const real* x, const real* gain,
                            const real* shift, int64_t N, int64_t C, real epsilon) {
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
  // Each thread sums its rows' share of dgain and dshift; the shares are added in thread order.
  std::vector<real> shares(2 * C * omp_get_max_threads(), 0);
  parallel_ranges(N, std::max<int64_t>(C, 2), [&](int64_t begin, int64_t end) {
    real* gain_share = shares.data() + 2 * C * omp_get_thread_num();
    real* shift_share = gain_share + C;
    for (int64_t n = begin; n < end; ++n) {
      const real *xn = x + n * C, *dyn = dy + n * C;
      const real m = mean[n], r = rstd[n];
      real sum_g = 0, sum_gx = 0;
#pragma omp simd reduction(+ : sum_g, sum_gx)
      for (int64_t c = 0; c < C; ++c) {
        const real normed = (xn[c] - m) * r, g = gain[c] * dyn[c];
        sum_g += g;
        sum_gx += g * normed;
        gain_share[c] += dyn[c] * normed;
        shift_share[c] += dyn[c];
      }
      if (!dx) continue;
      const real mean_g = sum_g / C, mean_gx = sum_gx / C;
      real* dxn = dx + n * C;
#pragma omp simd
      for (int64_t c = 0; c < C; ++c)
        dxn[c] += r * (gain[c] * dyn[c] - mean_g - (xn[c] - m) * r * mean_gx);
    }
  });
  for (int thread = 0; thread < omp_get_max_threads(); ++thread) {
    const real* share = shares.data() + 2 * C * thread;
    for (int64_t c = 0; c < C; ++c) {
      if (dgain) dgain[c] += share[c];
      if (dshift) dshift[c] += share[C + c];
    }
  }
}

}  // namespace farsight
