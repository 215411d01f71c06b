// Sums in a fixed order, and AdamW (Loshchilov & Hutter 2019) one launch for all parameters that
// decay with clipping decided on the device: the host never reads the norm. Twin of
// core/cpu/optimizer.cpp.
//
// AdamW reads and writes p, m, v and g once, g to clear it: 32 bytes per parameter in float.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int64_t kBlock = 4096;  // elements that a block adds up

struct Identity {
  static __device__ real of(real x) { return x; }
};
struct Square {
  static __device__ real of(real x) { return x * x; }
};

/// partial[block] = the sum of f over the block's elements: a thread's 16 as they are, the rest in
/// double, of which most devices make but two sums per clock.
template <class F>
__global__ void __launch_bounds__(kThreads) block_sums(double* partial, const real* x, int64_t n) {
  SHARED(slots, double[kWarps]);
  const int64_t first = blockIdx.x * kBlock, end = min(n, first + kBlock);
  real own = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += kThreads) own += F::of(x[i]);
  const double total = over_block<Sum, kThreads>(static_cast<double>(own), slots);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

/// y[0] = the sum of all partial sums. One block.
__global__ void __launch_bounds__(kThreads)
    total_sum(real* y, const double* partial, int64_t blocks) {
  SHARED(slots, double[kWarps]);
  double total = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += kThreads) total += partial[i];
  total = over_block<Sum, kThreads>(total, slots);
  if (threadIdx.x == 0) y[0] = static_cast<real>(total);
}

template <class F>
void sum_over(const Queue& queue, Backend& backend, real* y, const real* x, int64_t n) {
  const int64_t blocks = std::max<int64_t>(1, blocks_of(n, kBlock));
  Scratch<double> partial(blocks, backend);
  queue.start(block_sums<F>, grid_x(blocks, 1), kThreads, 0, partial.data(), x, n);
  queue.start(total_sum, 1, kThreads, 0, y, partial.data(), blocks);
}

/// One parameter with its moments.
struct Moments {
  real p, m, v;
};

/// The constants of a step that are the same for all elements.
struct Rates {
  real keep, rate, scale, beta1, beta2, epsilon;
  __device__ Moments step(Moments x, real gradient) const {
    x.m = beta1 * x.m + (1 - beta1) * gradient;
    x.v = beta2 * x.v + (1 - beta2) * gradient * gradient;
    x.p = keep * x.p - rate * x.m / (std::sqrt(x.v) * scale + epsilon);
    return x;
  }
};

__global__ void __launch_bounds__(kThreads)
    adamw_step(real* p, real* m, real* v, real* g, const real* norm_squared, real max_norm,
               Rates rates, int64_t n, bool fours) {
  const real norm = std::sqrt(norm_squared[0]);
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * 4;
  if (!(norm <= std::numeric_limits<real>::max())) {  // infinite or NaN
    for (int64_t i = first; i < min(n, first + 4); ++i) g[i] = 0;
    return;
  }
  const real shrink = max_norm > 0 && norm > max_norm ? max_norm / norm : real(1);
  if (fours && first + 4 <= n) {
    Four ps = load_four(p + first), ms = load_four(m + first), vs = load_four(v + first);
    const Four gs = load_four(g + first);
    for (int j = 0; j < 4; ++j) {
      const Moments next = rates.step({ps.v[j], ms.v[j], vs.v[j]}, shrink * gs.v[j]);
      ps.v[j] = next.p;
      ms.v[j] = next.m;
      vs.v[j] = next.v;
    }
    store_four(p + first, ps);
    store_four(m + first, ms);
    store_four(v + first, vs);
    store_four(g + first, Four{});
  } else {
    for (int64_t i = first; i < min(n, first + 4); ++i) {
      const Moments next = rates.step({p[i], m[i], v[i]}, shrink * g[i]);
      p[i] = next.p;
      m[i] = next.m;
      v[i] = next.v;
      g[i] = 0;
    }
  }
}

}  // namespace

void CudaBackend::sum(real* y, const real* x, int64_t n) {
  sum_over<Identity>(queue_, *this, y, x, n);
}

void CudaBackend::sum_squares(real* y, const real* x, int64_t n) {
  sum_over<Square>(queue_, *this, y, x, n);
}

void CudaBackend::adamw(real* p, real* m, real* v, real* g, const real* norm_squared, int64_t n,
                        const AdamWStep& step) {
  if (n == 0) return;
  const Rates rates{1 - step.rate * step.decay,
                    step.rate / step.correction1,
                    1 / std::sqrt(step.correction2),
                    step.beta1,
                    step.beta2,
                    step.epsilon};
  queue_.start(adamw_step, grid_x(n, 4 * kThreads), kThreads, 0, p, m, v, g, norm_squared,
               step.max_norm, rates, n, aligned(p, m, v, g));
}

}  // namespace farsight
