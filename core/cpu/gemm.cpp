// Matrix products, by OpenBLAS.
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"

namespace farsight {

void CpuBackend::gemm(real* c, const real* a, const real* b, bool ta, bool tb, int64_t M, int64_t N,
                      int64_t K, real alpha, real beta) {
  blas_gemm(ta, tb, M, N, K, alpha, a, ta ? M : K, b, tb ? K : N, beta, c, N);
}

}  // namespace farsight
