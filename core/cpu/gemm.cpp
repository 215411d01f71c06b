// Matrix products, by OpenBLAS.
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"
#include "core/error.h"

namespace farsight {

void CpuBackend::gemm(real* c, const real* a, const real* b, bool ta, bool tb, int64_t M, int64_t N,
                      int64_t K, real alpha, real beta) {
  constexpr int64_t kLargest = INT32_MAX;  // what BLAS counts with
  check(M <= kLargest && N <= kLargest && K <= kLargest, "a matrix product of ", M, " x ", N, " x ",
        K, " is larger than BLAS can count; use a smaller model");
  blas_gemm(ta, tb, M, N, K, alpha, a, ta ? M : K, b, tb ? K : N, beta, c, N);
}

}  // namespace farsight
