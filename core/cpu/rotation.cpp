// Rotation of pairs by position (RoPE, Su et al. 2021). A pair (a, b) at angle θ becomes
// (a cos θ - b sin θ, a sin θ + b cos θ); the derivative turns the gradient the other way.
#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {
namespace {

/// y (+)= x turned forward (direction 1) or back (-1).
template <int direction, bool add>
void turn(real* y, const real* x, const real* table, PairLayout layout, int64_t B, int64_t T,
          int64_t H, int64_t D) {
  // Members of pair p stand at p * step and p * step + apart.
  const int64_t step = layout == PairLayout::kInterleaved ? 2 : 1;
  const int64_t apart = layout == PairLayout::kInterleaved ? 1 : D / 2;
  parallel_rows(B * T, H * D, [=](int64_t row) {
    const real* angles = table + row % T * D;
    for (int64_t h = 0; h < H; ++h) {
      const real* from = x + (row * H + h) * D;
      real* to = y + (row * H + h) * D;
      for (int64_t p = 0; p < D / 2; ++p) {
        const real c = angles[2 * p], s = direction * angles[2 * p + 1];
        const real a = from[p * step], b = from[p * step + apart];
        to[p * step] = (add ? to[p * step] : 0) + (a * c - b * s);
        to[p * step + apart] = (add ? to[p * step + apart] : 0) + (a * s + b * c);
      }
    }
  });
}

}  // namespace

void CpuBackend::rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B,
                        int64_t T, int64_t H, int64_t D) {
  turn<1, false>(y, x, table, layout, B, T, H, D);
}

void CpuBackend::rotate_backward(GradientSum dx, const real* dy, const real* table,
                                 PairLayout layout, int64_t B, int64_t T, int64_t H, int64_t D) {
  dx.beta == 0 ? turn<-1, false>(dx.to, dy, table, layout, B, T, H, D)
               : turn<-1, true>(dx.to, dy, table, layout, B, T, H, D);
}

}  // namespace farsight
