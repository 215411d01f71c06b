// Which kernel makes a matrix product: fp32 on the ordinary units (gemm_simt.cuh), bf16 or TF32 on
// tensor cores (gemm_bf16.cuh, gemm_tf32.cuh), in large tiles if those fill the device, else small.
//
// A product of few tiles and a long inner dimension (a weight's gradient) is split along k: partial
// products go to scratch memory, and a second kernel adds them in order.
#include "cuda/cuda_backend.h"
#include "cuda/gemm_simt.cuh"
#include "cuda/gemm_tf32.cuh"

namespace farsight {
namespace {

constexpr int kThreads = 256;

/// c = beta * c + the sum of the splits' partial products, with the epilogue.
__global__ void __launch_bounds__(kThreads)
    add_splits(real* c, const real* partial, int64_t n, int64_t N, int64_t splits, real beta,
               Epilogue epilogue) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  real total = 0;
  for (int64_t s = 0; s < splits; ++s) total += partial[s * n + i];
  if (beta != 0) total += beta * c[i];
  if (epilogue.bias) total += epilogue.bias[i % N];
  if (epilogue.residual) total += epilogue.residual[i];
  c[i] = total;
  if (epilogue.gelu) epilogue.gelu[i] = gelu_of(total, epilogue.kind);
}

template <bool a_along_k, bool b_along_k>
void start_product(const Queue& queue, const Product& p, Precision precision, bool large,
                   dim3 grid) {
  if constexpr (std::is_same_v<real, float>) {
    if (precision == Precision::kBf16) {
      if (large)
        return queue.start(bf16_gemm<LargeTensorShape, a_along_k, b_along_k>, grid,
                           LargeTensorShape::kThreads, 0, p);
      return queue.start(bf16_gemm<SmallTensorShape, a_along_k, b_along_k>, grid,
                         SmallTensorShape::kThreads, 0, p);
    }
    if (precision == Precision::kTf32) {
      if (large)
        return queue.start(tf32_gemm<LargeTensorShape, a_along_k, b_along_k>, grid,
                           LargeTensorShape::kThreads,
                           tf32_shared_bytes<LargeTensorShape, a_along_k, b_along_k>(), p);
      return queue.start(tf32_gemm<SmallTensorShape, a_along_k, b_along_k>, grid,
                         SmallTensorShape::kThreads,
                         tf32_shared_bytes<SmallTensorShape, a_along_k, b_along_k>(), p);
    }
    if (large)
      return queue.start(simt_gemm<128, 8, a_along_k, b_along_k>, grid, kSimtThreads, 0, p);
  }
  queue.start(simt_gemm<64, 16, a_along_k, b_along_k>, grid, kSimtThreads, 0, p);
}

}  // namespace

void CudaBackend::gemm(real* c, const real* a, const real* b, bool ta, bool tb, int64_t M,
                       int64_t N, int64_t K, real alpha, real beta, const Epilogue& epilogue) {
  if (M * N == 0) return;
  count_flops(2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K));
  constexpr bool kHasLarge = std::is_same_v<real, float>;
  const int64_t processors = device_.multiProcessorCount;
  // A split of less than 256 is not worth its sum.
  const int64_t most_splits = std::max<int64_t>(1, std::min<int64_t>(K / 256, 64));
  const bool large = kHasLarge && M > 64 && N > 64 &&
                     blocks_of(M, 128) * blocks_of(N, 128) * most_splits >= processors;
  const int64_t tile = large ? 128 : 64;
  const int64_t tiles = blocks_of(M, tile) * blocks_of(N, tile);
  check(blocks_of(N, tile) <= 65535 && std::max({M, N, K}) < (int64_t{1} << 30),
        "a matrix product of ", M, " x ", N, " x ", K,
        " is larger than a grid; use a smaller model");

  // Two blocks for each processor keep it busy.
  const int64_t splits = std::max<int64_t>(1, std::min(2 * processors / tiles, most_splits));
  const int64_t k_per_split = blocks_of(blocks_of(std::max<int64_t>(K, 1), splits), 32) * 32;
  const int64_t used = std::max<int64_t>(1, blocks_of(K, k_per_split));

  Scratch<real> partial(used > 1 ? used * M * N : 0, *this);
  Product p{used > 1 ? partial.data() : c,
            a,
            b,
            static_cast<int>(M),
            static_cast<int>(N),
            static_cast<int>(K),
            alpha,
            used > 1 ? 0 : beta,
            static_cast<int>(k_per_split),
            (ta ? M : K) % 4 == 0 && aligned(a),
            (tb ? K : N) % 4 == 0 && aligned(b),
            false,
            used > 1 ? Epilogue{} : epilogue};
  p.c_fours = N % 4 == 0 && aligned(p.c, epilogue.bias, epilogue.residual, epilogue.gelu);
  const dim3 grid(grid_x(M, tile), static_cast<unsigned>(blocks_of(N, tile)),
                  static_cast<unsigned>(used));
  if (ta)
    tb ? start_product<false, true>(queue_, p, precision_, large, grid)
       : start_product<false, false>(queue_, p, precision_, large, grid);
  else
    tb ? start_product<true, true>(queue_, p, precision_, large, grid)
       : start_product<true, false>(queue_, p, precision_, large, grid);
  if (used > 1)
    queue_.start(add_splits, grid_x(M * N, kThreads), kThreads, 0, c, partial.data(), M * N, N,
                 used, beta, epilogue);
}

}  // namespace farsight
