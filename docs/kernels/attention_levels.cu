// Attention, level by level: see docs/kernels.md. The last levels are cuda/attention_fp32.cuh and,
// on tensor cores, cuda/attention_bf16.cuh.
#include <limits>

#include "cuda/gpu.h"
#include "docs/kernels/levels.h"

namespace farsight::levels {
namespace {

constexpr int D = 64;
constexpr float kScale = 0.125f;  // 1 / sqrt(D)
constexpr int kThreads = 64;

// Level 1. All T x T scores go to memory, are read and written by the softmax, and read again.

__global__ void all_scores(float* scores, const float* q, const float* k, int T) {
  const int i = blockIdx.y, j = blockIdx.x * kThreads + threadIdx.x;
  float sum = 0;
  for (int d = 0; d < D; ++d) sum += q[i * D + d] * k[j * D + d];
  scores[i * T + j] = j <= i ? kScale * sum : -std::numeric_limits<float>::infinity();
}

__global__ void softmax_of_rows(float* scores, int T) {
  float* row = scores + (blockIdx.x * kThreads + threadIdx.x) * T;
  float largest = row[0], total = 0;
  for (int j = 1; j < T; ++j) largest = row[j] > largest ? row[j] : largest;
  for (int j = 0; j < T; ++j) total += expf(row[j] - largest);
  for (int j = 0; j < T; ++j) row[j] = expf(row[j] - largest) / total;
}

__global__ void mix(float* y, const float* p, const float* v, int T) {
  const int i = blockIdx.x, d = threadIdx.x;
  float sum = 0;
  for (int j = 0; j < T; ++j) sum += p[i * T + j] * v[j * D + d];
  y[i * D + d] = sum;
}

// Level 2. Online softmax: with m the largest score so far and l the sum of e^(score - m), a larger
// score m' shrinks what was accumulated by e^(m - m'). No score is ever stored, and memory is
// linear in T. Keys and values pass through shared memory, each used by 64 queries.

__global__ void online(float* y, const float* q, const float* k, const float* v) {
  SHARED(keys, float[kThreads][D]);
  SHARED(values, float[kThreads][D]);
  const int i = blockIdx.x * kThreads + threadIdx.x;
  float query[D], mixed[D] = {};
  for (int d = 0; d < D; ++d) query[d] = q[i * D + d];
  float largest = -std::numeric_limits<float>::infinity(), total = 0;
  for (unsigned tile = 0; tile <= blockIdx.x; ++tile) {  // later tiles see nothing of this one
    for (int at = threadIdx.x; at < kThreads * D; at += kThreads) {
      keys[at / D][at % D] = k[tile * kThreads * D + at];
      values[at / D][at % D] = v[tile * kThreads * D + at];
    }
    __syncthreads();
    for (int j = 0; j < kThreads && static_cast<int>(tile) * kThreads + j <= i; ++j) {
      float score = 0;
      for (int d = 0; d < D; ++d) score += query[d] * keys[j][d];
      score *= kScale;
      const float top = score > largest ? score : largest;
      const float shrink = expf(largest - top), weight = expf(score - top);
      total = total * shrink + weight;
      for (int d = 0; d < D; ++d) mixed[d] = mixed[d] * shrink + weight * values[j][d];
      largest = top;
    }
    __syncthreads();
  }
  for (int d = 0; d < D; ++d) y[i * D + d] = mixed[d] / total;
}

}  // namespace

void attention_naive(float* y, float* scores, const float* q, const float* k, const float* v,
                     int T) {
  gpu::launch(all_scores, dim3(T / kThreads, T), dim3(kThreads), 0, nullptr, scores, q, k, T);
  gpu::launch(softmax_of_rows, dim3(T / kThreads), dim3(kThreads), 0, nullptr, scores, T);
  gpu::launch(mix, dim3(T), dim3(D), 0, nullptr, y, scores, v, T);
  cudaDeviceSynchronize();
}

void attention_online(float* y, const float* q, const float* k, const float* v, int T) {
  gpu::launch(online, dim3(T / kThreads), dim3(kThreads), 0, nullptr, y, q, k, v);
  cudaDeviceSynchronize();
}

}  // namespace farsight::levels
