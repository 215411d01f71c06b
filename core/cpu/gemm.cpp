// Matrix products: in fp32 by OpenBLAS, in bf16 by gemm_bf16.cpp.
#include "core/cpu/blas.h"
#include "core/cpu/cpu_backend.h"
#include "core/cpu/gemm_bf16.h"
#include "core/cpu/parallel.h"
#include "core/error.h"

namespace farsight {
namespace {

/// How a product is cut into parts, one for each thread.
struct Grid {
  int64_t down, across;
};

/// OpenBLAS's own threads work on what is nearest in its order, wherever that was made; here a
/// thread gets the rows, mostly tokens, that it has in its cache from the op before. A part has so
/// many rows that packing the other operand for it does not count, and a very wide product is cut
/// across.
Grid grid_for(int64_t M, int64_t N, int64_t threads) {
  constexpr int64_t kRows = 128, kColumns = 32, kWide = 16;
  const int64_t most_down = N > kWide * M ? 1 : std::max<int64_t>(1, M / kRows);
  Grid best{1, 1};
  for (int64_t down = 1; down <= std::min(threads, most_down); ++down) {
    const int64_t across = std::clamp<int64_t>(N / kColumns, 1, threads / down);
    if (down * across >= best.down * best.across) best = {down, across};
  }
  return best;
}

}  // namespace

void CpuBackend::set_precision(Precision precision) {
  check(precision != Precision::kTf32, "the CPU computes in fp32 or bf16; tf32 is a GPU's");
  check(precision != Precision::kBf16 || (sizeof(real) == sizeof(float) && has_bf16_products()),
        "this processor has no bf16 instructions (AVX512-BF16); use --precision fp32");
  precision_ = precision;
}

void CpuBackend::gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M,
                      int64_t N, int64_t K, real alpha, real beta, const Epilogue& epilogue) {
  constexpr int64_t kLargest = INT32_MAX;  // what BLAS counts with
  check(M <= kLargest && N <= kLargest && K <= kLargest, "a matrix product of ", M, " x ", N, " x ",
        K, " is larger than BLAS can count; use a smaller model");
  count_flops(2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K));
  // A few rows, as generation has, cost what reading the weights costs, and packing more than that.
  constexpr int64_t kFewRows = 8;
  if (precision_ == Precision::kBf16 && M >= kFewRows && K > 0) {
    // set_precision() has refused this where numbers are no floats.
    const auto floats = [](const real* x) { return reinterpret_cast<const float*>(x); };
    gemm_bf16(reinterpret_cast<float*>(c), floats(a.data), floats(b.data), ta, tb, M, N, K,
              static_cast<float>(alpha), static_cast<float>(beta), floats(epilogue.bias),
              floats(epilogue.residual));
    if (epilogue.gelu) map(epilogue.kind, epilogue.gelu, c, M * N);
    return;
  }
  if (epilogue.bias || epilogue.residual) {
    // OpenBLAS passes over c once to multiply it by beta; with beta = 1 it does not, and this pass
    // takes that one's place.
    parallel_rows(M, N, [=](int64_t m) {
      real* const row = c + m * N;
      for (int64_t n = 0; n < N; ++n) {
        real sum = beta != 0 ? beta * row[n] : 0;
        if (epilogue.bias) sum += epilogue.bias[n];
        if (epilogue.residual) sum += epilogue.residual[m * N + n];
        row[n] = sum;
      }
    });
    beta = 1;
  }
  const Grid grid = grid_for(M, N, omp_get_max_threads());
  // Threads without a part wait: fewer would make OpenMP end the others and start new ones later,
  // on the processor of the one that asks.
#pragma omp parallel for schedule(static) if (grid.down * grid.across > 1)
  for (int64_t part = 0; part < grid.down * grid.across; ++part) {
    const int64_t i = part / grid.across, j = part % grid.across;
    const int64_t m = M * i / grid.down, n = N * j / grid.across;
    const int64_t rows = M * (i + 1) / grid.down - m, columns = N * (j + 1) / grid.across - n;
    blas_gemm(ta, tb, rows, columns, K, alpha, a.data + (ta ? m : m * K), ta ? M : K,
              b.data + (tb ? n * K : n), tb ? K : N, beta, c + m * N + n, N);
  }
  if (epilogue.gelu) map(epilogue.kind, epilogue.gelu, c, M * N);
}

}  // namespace farsight
