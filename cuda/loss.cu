// Softmax cross-entropy: loss = log Σ e^logit - logit of the target, whose derivative is
// softmax - one-hot. A block per row of V logits: forward reads the row twice (the second time from
// the caches, unless V is very large), backward reads and writes it once. Twin of
// core/cpu/loss.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

__global__ void __launch_bounds__(kThreads)
    row_losses(real* loss, real* lse, real* correct, const real* logits, const int32_t* targets,
               int64_t V) {
  SHARED(largest_slots, real[kWarps]);
  SHARED(total_slots, real[kWarps]);
  const int64_t n = blockIdx.x;
  const real* row = logits + n * V;
  real largest = -std::numeric_limits<real>::infinity();
  for (int64_t v = threadIdx.x; v < V; v += kThreads) largest = Largest::of(row[v], largest);
  largest = over_block<Largest, kThreads>(largest, largest_slots);
  real total = 0;
  for (int64_t v = threadIdx.x; v < V; v += kThreads) total += std::exp(row[v] - largest);
  total = over_block<Sum, kThreads>(total, total_slots);
  if (threadIdx.x == 0) {
    const real target = row[targets[n]], log_total = largest + std::log(total);
    lse[n] = log_total;
    loss[n] = log_total - target;
    if (correct) correct[n] = target == largest;
  }
}

/// A block per row.
__global__ void __launch_bounds__(kThreads)
    logit_gradients(real* logits, const real* dloss, const real* lse, const int32_t* targets,
                    int64_t V) {
  const int64_t n = blockIdx.x;
  const real g = dloss[n], l = lse[n];
  const int64_t target = targets[n];
  for (int64_t v = threadIdx.x; v < V; v += kThreads)
    logits[n * V + v] = g * (std::exp(logits[n * V + v] - l) - (v == target ? 1 : 0));
}

}  // namespace

void CudaBackend::cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                                const int32_t* targets, int64_t N, int64_t V) {
  if (N == 0) return;
  queue_.start(row_losses, grid_x(N, 1), kThreads, 0, loss, lse, correct, logits, targets, V);
}

void CudaBackend::cross_entropy_gradient(real* logits, const real* dloss, const real* lse,
                                         const int32_t* targets, int64_t N, int64_t V) {
  if (N == 0) return;
  queue_.start(logit_gradients, grid_x(N, 1), kThreads, 0, logits, dloss, lse, targets, V);
}

}  // namespace farsight
