// Rotation of pairs by position (RoPE, Su et al. 2021): a pair (a, b) at angle θ becomes
// (a cos θ - b sin θ, a sin θ + b cos θ); the derivative turns the gradient the other way. A thread
// per pair, bound by memory; the table is small and stays in the caches. Block column x is a token,
// so that no thread divides by more than 32 bits. Twin of core/cpu/rotation.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 128;

using Pair = Neighbours<2>;

/// y (+)= x turned forward (direction 1) or back (-1). A thread turns a pair, whose members are
/// neighbours or half a head apart.
template <int direction, bool add, PairLayout layout>
__global__ void __launch_bounds__(kThreads)
    turn(real* y, const real* x, const real* table, unsigned T, unsigned H, unsigned half) {
  constexpr bool kBeside = layout == PairLayout::kInterleaved;
  const unsigned i = blockIdx.y * kThreads + threadIdx.x;
  if (i >= H * half) return;
  const unsigned p = i % half, h = i / half, token = blockIdx.x, t = token % T;
  const int64_t head = (static_cast<int64_t>(token) * H + h) * 2 * half;
  const Pair angle = reinterpret_cast<const Pair*>(table)[static_cast<int64_t>(t) * half + p];
  const real c = angle.v[0], s = direction * angle.v[1];
  const int64_t first = head + p, second = first + half;  // of members half a head apart
  const Pair* const beside = reinterpret_cast<const Pair*>(x + head) + p;
  const Pair in = kBeside ? *beside : Pair{{x[first], x[second]}};
  Pair out{{in.v[0] * c - in.v[1] * s, in.v[0] * s + in.v[1] * c}};
  if constexpr (kBeside) {
    Pair* const to = reinterpret_cast<Pair*>(y + head) + p;
    if (add)
      for (int j = 0; j < 2; ++j) out.v[j] += to->v[j];
    *to = out;
  } else {
    y[first] = add ? y[first] + out.v[0] : out.v[0];
    y[second] = add ? y[second] + out.v[1] : out.v[1];
  }
}

template <int direction, bool add>
void turn_over(const Queue& queue, real* y, const real* x, const real* table, PairLayout layout,
               int64_t B, int64_t T, int64_t H, int64_t D) {
  const int64_t half = D / 2;
  if (B * T * H * half == 0) return;
  queue.start(layout == PairLayout::kInterleaved ? turn<direction, add, PairLayout::kInterleaved>
                                                 : turn<direction, add, PairLayout::kHalves>,
              dim3(grid_x(B * T, 1), grid_yz(blocks_of(H * half, kThreads))), kThreads, 0, y, x,
              table, static_cast<unsigned>(T), static_cast<unsigned>(H),
              static_cast<unsigned>(half));
}

}  // namespace

void CudaBackend::rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B,
                         int64_t T, int64_t H, int64_t D) {
  turn_over<1, false>(queue_, y, x, table, layout, B, T, H, D);
}

void CudaBackend::rotate_backward(GradientSum dx, const real* dy, const real* table,
                                  PairLayout layout, int64_t B, int64_t T, int64_t H, int64_t D) {
  dx.beta == 0 ? turn_over<-1, false>(queue_, dx.to, dy, table, layout, B, T, H, D)
               : turn_over<-1, true>(queue_, dx.to, dy, table, layout, B, T, H, D);
}

}  // namespace farsight
