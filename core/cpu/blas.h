// cblas_sgemm or cblas_dgemm, whichever fits `real`, for matrices with any leading dimension.
#pragma once

#include <cblas.h>

#include <cstdint>

#include "core/real.h"

namespace farsight {

inline auto gemm_for(float) { return cblas_sgemm; }
inline auto gemm_for(double) { return cblas_dgemm; }

/// c (M, N) = alpha * op(a) op(b) + beta * c, row-major, with the distance between rows given for
/// each. Inside a parallel region OpenBLAS's OpenMP flavour runs on the calling thread alone.
inline void blas_gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real* a,
                      int64_t lda, const real* b, int64_t ldb, real beta, real* c, int64_t ldc) {
  gemm_for(real())(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                   static_cast<int>(M), static_cast<int>(N), static_cast<int>(K), alpha, a,
                   static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

}  // namespace farsight
