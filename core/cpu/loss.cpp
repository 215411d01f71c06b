// Softmax cross-entropy, row by row: loss = log Σ e^logit - logit of the target, whose derivative
// is softmax - one-hot.
#include <algorithm>
#include <cmath>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {

void CpuBackend::cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                               const int32_t* targets, int64_t N, int64_t V) {
  parallel_rows(N, V, [=](int64_t n) {
    const real* row = logits + n * V;
    real largest = row[0];
    // Not std::max: gcc would leave its references as they are, and the loop with them.
#pragma omp simd reduction(max : largest)
    for (int64_t v = 0; v < V; ++v) largest = row[v] > largest ? row[v] : largest;
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t v = 0; v < V; ++v) total += exp_fast(row[v] - largest);
    lse[n] = largest + std::log(total);
    loss[n] = lse[n] - row[targets[n]];
    if (correct) correct[n] = row[targets[n]] == largest;
  });
}

void CpuBackend::cross_entropy_gradient(real* logits, RoundedCopy*, const real* dloss,
                                        const real* lse, const int32_t* targets, int64_t N,
                                        int64_t V) {
  parallel_rows(N, V, [=](int64_t n) {
    real* row = logits + n * V;
    const real g = dloss[n], l = lse[n];
#pragma omp simd
    for (int64_t v = 0; v < V; ++v) row[v] = g * exp_fast(row[v] - l);
    row[targets[n]] -= g;
  });
}

}  // namespace farsight
