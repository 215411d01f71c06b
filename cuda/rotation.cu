// Rotation of pairs by position (RoPE, Su et al. 2021): a pair (a, b) at angle θ becomes
// (a cos θ - b sin θ, a sin θ + b cos θ); the derivative turns the gradient the other way. A thread
// per pair, bound by memory; the table is small and stays in the caches. Twin of
// core/cpu/rotation.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;

/// y = R x or, with direction -1, y += Rᵀ x.
template <int direction>
__global__ void __launch_bounds__(kThreads)
    turn(real* y, const real* x, const real* table, PairLayout layout, int64_t pairs, int64_t T,
         int64_t H, int64_t D) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= pairs) return;
  const int64_t half = D / 2, p = i % half, head = i / half;  // head of (B, T, H)
  const int64_t t = head / H % T;
  // Members of pair p stand at p * step and p * step + apart.
  const int64_t step = layout == PairLayout::kInterleaved ? 2 : 1;
  const int64_t apart = layout == PairLayout::kInterleaved ? 1 : half;
  const int64_t first = head * D + p * step, second = first + apart;
  const real c = table[(t * half + p) * 2], s = direction * table[(t * half + p) * 2 + 1];
  const real a = x[first], b = x[second];
  if constexpr (direction > 0) {
    y[first] = a * c - b * s;
    y[second] = a * s + b * c;
  } else {
    y[first] += a * c - b * s;
    y[second] += a * s + b * c;
  }
}

template <int direction>
void turn_over(const Queue& queue, real* y, const real* x, const real* table, PairLayout layout,
               int64_t B, int64_t T, int64_t H, int64_t D) {
  const int64_t pairs = B * T * H * (D / 2);
  if (pairs == 0) return;
  queue.start(turn<direction>, grid_x(pairs, kThreads), kThreads, 0, y, x, table, layout, pairs, T,
              H, D);
}

}  // namespace

void CudaBackend::rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B,
                         int64_t T, int64_t H, int64_t D) {
  turn_over<1>(queue_, y, x, table, layout, B, T, H, D);
}

void CudaBackend::rotate_backward(real* dx, const real* dy, const real* table, PairLayout layout,
                                  int64_t B, int64_t T, int64_t H, int64_t D) {
  turn_over<-1>(queue_, dx, dy, table, layout, B, T, H, D);
}

}  // namespace farsight
