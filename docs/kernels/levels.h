// The kernels that docs/kernels.md explains, level by level. Pointers are to device memory,
// matrices row-major, sizes multiples of 64; each call waits for its kernels.
#pragma once

namespace farsight::levels {

// c (M, N) = a (M, K) b (K, N).

/// A thread per element, straight from global memory.
void gemm_naive(float* c, const float* a, const float* b, int M, int N, int K);
/// Tiles of 32 x 32 through shared memory.
void gemm_tiled(float* c, const float* a, const float* b, int M, int N, int K);
/// Tiles of 64 x 64, of which a thread keeps 4 x 4 sums in registers.
void gemm_registers(float* c, const float* a, const float* b, int M, int N, int K);
/// The same tiles on tensor cores, a and b rounded to bf16.
void gemm_tensor(float* c, const float* a, const float* b, int M, int N, int K);

// y (T, 64) = softmax(q kᵀ / 8, causal) v for one head: q, k, v (T, 64).

/// Three kernels, with all scores in `scores` (T, T) between them.
void attention_naive(float* y, float* scores, const float* q, const float* k, const float* v,
                     int T);
/// One kernel, a thread per query: keys and values pass through shared memory, the softmax is made
/// as they pass.
void attention_online(float* y, const float* q, const float* k, const float* v, int T);

}  // namespace farsight::levels
