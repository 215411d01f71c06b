// Softmax cross-entropy: loss = log Σ e^logit - logit of the target, whose derivative is
// softmax - one-hot. A block per row of V logits: forward reads the row once, each thread with an
// online softmax of its own, backward reads and writes it once. Twin of core/cpu/loss.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

/// The largest of the numbers seen so far, and the sum of e^(x - largest).
struct OnlineSoftmax {
  real largest = -std::numeric_limits<real>::infinity(), total = 0;

  template <int count>
  __device__ void see(const Neighbours<count>& x) {
    real top = largest;
    for (int j = 0; j < count; ++j) top = Largest::of(x.v[j], top);
    // As long as all are -infinity, there is nothing to be subtracted from.
    const real base = top == -std::numeric_limits<real>::infinity() ? real(0) : top;
    total *= std::exp(largest - base);
    for (int j = 0; j < count; ++j) total += std::exp(x.v[j] - base);
    largest = top;
  }
};

__global__ void __launch_bounds__(kThreads)
    row_losses(real* loss, real* lse, real* correct, const real* logits, const int32_t* targets,
               int64_t V, bool fours) {
  SHARED(largest_slots, real[kWarps]);
  SHARED(total_slots, real[kWarps]);
  const int64_t n = blockIdx.x;
  const real* row = logits + n * V;
  OnlineSoftmax own;
  if (fours) {
    for (int64_t v = threadIdx.x * 4; v < V; v += kThreads * 4) own.see(load_four(row + v));
  } else {
    for (int64_t v = threadIdx.x; v < V; v += kThreads) own.see(Neighbours<1>{{row[v]}});
  }
  const real largest = over_block<Largest, kThreads>(own.largest, largest_slots);
  const real total =
      over_block<Sum, kThreads>(own.total * std::exp(own.largest - largest), total_slots);
  if (threadIdx.x == 0) {
    const real target = row[targets[n]], log_total = largest + std::log(total);
    lse[n] = log_total;
    loss[n] = log_total - target;
    if (correct) correct[n] = target == largest;
  }
}

__global__ void __launch_bounds__(kThreads)
    logit_gradients(real* logits, Bf16* rounded, const real* dloss, const real* lse,
                    const int32_t* targets, int V, bool fours) {
  const int64_t n = blockIdx.x;
  real* const row = logits + n * V;
  const real g = dloss[n], l = lse[n];
  const int64_t target = targets[n];
  const auto gradient = [=](real logit, int v) {
    return g * (std::exp(logit - l) - (v == target ? 1 : 0));
  };
  if (fours) {
    for (int v = threadIdx.x * 4; v < V; v += kThreads * 4) {
      Four x = load_four(row + v);
      for (int j = 0; j < 4; ++j) x.v[j] = gradient(x.v[j], v + j);
      store_four(row + v, x);
      if (rounded) store_rounded<4>(rounded, n, v, V, x.v);
    }
  } else {
    for (int v = threadIdx.x; v < V; v += kThreads) {
      const real x = gradient(row[v], v);
      row[v] = x;
      if (rounded) store_rounded<1>(rounded, n, v, V, &x);
    }
  }
}

}  // namespace

void CudaBackend::cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                                const int32_t* targets, int64_t N, int64_t V) {
  if (N == 0) return;
  queue_.start(row_losses, grid_x(N, 1), kThreads, 0, loss, lse, correct, logits, targets, V,
               V % 4 == 0 && aligned(logits));
}

void CudaBackend::cross_entropy_gradient(real* logits, RoundedCopy* rounded, const real* dloss,
                                         const real* lse, const int32_t* targets, int64_t N,
                                         int64_t V) {
  if (N == 0) return;
  queue_.start(logit_gradients, grid_x(N, 1), kThreads, 0, logits, to_round(rounded, N, V), dloss,
               lse, targets, static_cast<int>(V), V % 4 == 0 && aligned(logits));
}

}  // namespace farsight
