// Matrix products in bf16 on the CPU: Debian's OpenBLAS has none.
#pragma once

#include <cstdint>

namespace farsight {

/// Whether this processor has instructions for them (AVX512-BF16).
bool has_bf16_products();

/// As Backend::gemm(), a and b rounded to bf16, sums in fp32; bias (N) and residual (M, N) may be
/// null. Made for many rows: with a few, packing b costs more than the product. Every element's sum
/// has one order, whatever the number of threads. Only where has_bf16_products().
void gemm_bf16(float* c, const float* a, const float* b, bool ta, bool tb, int64_t M, int64_t N,
               int64_t K, float alpha, float beta, const float* bias, const float* residual);

}  // namespace farsight
