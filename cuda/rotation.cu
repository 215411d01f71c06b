// Rotation of pairs by position (RoPE, Su et al. 2021): a pair (a, b) at angle θ becomes
// (a cos θ - b sin θ, a sin θ + b cos θ); the derivative turns the gradient the other way. A thread
// per pair, bound by memory; the table is small and stays in the caches. Block column x is a token,
// so that no thread divides by more than 32 bits. Twin of core/cpu/rotation.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 128;

/// y = R x or, with direction -1, y += Rᵀ x.
template <int direction>
__global__ void __launch_bounds__(kThreads)
    turn(real* y, const real* x, const real* table, PairLayout layout, unsigned T, unsigned H,
         unsigned half) {
  const unsigned i = blockIdx.y * kThreads + threadIdx.x;
  if (i >= H * half) return;
  const unsigned p = i % half, h = i / half, token = blockIdx.x, t = token % T;
  // Members of pair p stand at p * step and p * step + apart.
  const unsigned step = layout == PairLayout::kInterleaved ? 2 : 1;
  const unsigned apart = layout == PairLayout::kInterleaved ? 1 : half;
  const int64_t first = (static_cast<int64_t>(token) * H + h) * 2 * half + p * step;
  const int64_t second = first + apart, angle = (static_cast<int64_t>(t) * half + p) * 2;
  const real c = table[angle], s = direction * table[angle + 1];
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
  const int64_t half = D / 2;
  if (B * T * H * half == 0) return;
  queue.start(turn<direction>, dim3(grid_x(B * T, 1), grid_yz(blocks_of(H * half, kThreads))),
              kThreads, 0, y, x, table, layout, static_cast<unsigned>(T), static_cast<unsigned>(H),
              static_cast<unsigned>(half));
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
