// The kernels of docs/kernels.md, level by level, against plain loops.
#include "core/attention.h"
#include "docs/kernels/levels.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"
#include "tests/small_model.h"

namespace farsight {

// The levels are written in float; the double build has nothing to say of them.
TEST_CASE("cuda: every level of the matrix product computes it") {
  if constexpr (sizeof(real) == 4) {
    Backend& device = open_backend("cuda");
    const int M = 64, N = 128, K = 192;
    const Tensor a = numbers({M, K}, 1, device), b = numbers({K, N}, 2, device);
    const Tensor expected({M, N}, device);
    device.gemm(expected.data(), a.data(), b.data(), false, false, M, N, K, 1, 0);
    const auto error = [&](auto* gemm) {
      const Tensor c({M, N}, device);
      expected.to_vector();  // waits for the backend's stream, which the levels do not use
      gemm(reinterpret_cast<float*>(c.data()), reinterpret_cast<const float*>(a.data()),
           reinterpret_cast<const float*>(b.data()), M, N, K);
      return difference(c.to_vector(), expected.to_vector());
    };
    CHECK(error(levels::gemm_naive) < 1e-6);
    CHECK(error(levels::gemm_tiled) < 1e-6);
    CHECK(error(levels::gemm_registers) < 1e-6);
    // Tensor cores of bf16 begin with compute capability 8.0.
    if (error_of([&] { device.set_precision(Precision::kBf16); }).empty())
      CHECK(error(levels::gemm_tensor) < 0.01);  // of bf16's 8 bits
    device.set_precision(Precision::kFp32);
  }
}

TEST_CASE("cuda: every level of attention computes it") {
  if constexpr (sizeof(real) == 4) {
    Backend& device = open_backend("cuda");
    const int T = 128, D = 64;
    const Tensor q = numbers({1, T, 1, D}, 1, device), k = numbers({1, T, 1, D}, 2, device),
                 v = numbers({1, T, 1, D}, 3, device);
    const auto expected = attention(q, k, v, {}, {}).to_vector();
    const auto pointer = [](const Tensor& x) { return reinterpret_cast<float*>(x.data()); };
    const Tensor naive({T, D}, device), online({T, D}, device), scores({T, T}, device);
    levels::attention_naive(pointer(naive), pointer(scores), pointer(q), pointer(k), pointer(v), T);
    CHECK(difference(naive.to_vector(), expected) < kRounding);
    levels::attention_online(pointer(online), pointer(q), pointer(k), pointer(v), T);
    CHECK(difference(online.to_vector(), expected) < kRounding);
  }
}

}  // namespace farsight
