// Small matrix products for attention, in registers: too small for a library call each, and mostly
// along the edge of a triangle, where a library would compute what nobody needs.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/real.h"

namespace farsight {

#ifdef __AVX512F__
inline constexpr int kVectorBytes = 64;
inline constexpr int kRegisterRows = 8;
#else
inline constexpr int kVectorBytes = 32;  // what the compiler splits where vectors are shorter
inline constexpr int kRegisterRows = 4;
#endif
inline constexpr int kVector = kVectorBytes / sizeof(real);  // lanes of a vector

template <int lanes>
struct VectorOf {
  typedef real type __attribute__((vector_size(lanes * sizeof(real))));
};
template <int lanes>
using Vector = typename VectorOf<lanes>::type;

/// So many neighbours, from and to anywhere in memory.
template <int lanes>
inline Vector<lanes> load_vector(const real* from) {
  Vector<lanes> x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
template <int lanes>
inline void store_vector(real* to, const Vector<lanes>& x) {
  std::memcpy(to, &x, sizeof x);
}

namespace tile_detail {

/// c (rows, vectors * lanes) = alpha * a b, or += if `add`. The sums stay in registers: with 8 x 2
/// of them a step loads 2 vectors of b and 8 numbers of a for 16 multiply-adds.
template <int lanes, int vectors, int rows, bool along_k, bool add>
inline void multiply(real* c, int64_t ldc, const real* a, int64_t lda, const real* b, int64_t ldb,
                     int64_t K, real alpha) {
  using V = Vector<lanes>;
  V sum[rows][vectors] = {};
  for (int64_t k = 0; k < K; ++k) {
    V from_b[vectors];
    for (int j = 0; j < vectors; ++j) from_b[j] = load_vector<lanes>(b + j * lanes);
    for (int r = 0; r < rows; ++r) {
      const real from_a = along_k ? a[r * lda + k] : a[k * lda + r];
      for (int j = 0; j < vectors; ++j) sum[r][j] += from_a * from_b[j];
    }
    b += ldb;
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < vectors; ++j) {
      real* const to = c + r * ldc + j * lanes;
      V x = alpha * sum[r][j];
      if constexpr (add) x += load_vector<lanes>(to);
      store_vector<lanes>(to, x);
    }
  }
}

/// As multiply() for any number of rows.
template <int lanes, int vectors, int rows, bool along_k, bool add>
void multiply_rows(real* c, int64_t ldc, const real* a, int64_t lda, const real* b, int64_t ldb,
                   int64_t M, int64_t K, real alpha) {
  int64_t m = 0;
  for (; m + rows <= M; m += rows)
    multiply<lanes, vectors, rows, along_k, add>(c + m * ldc, ldc, a + m * (along_k ? lda : 1), lda,
                                                 b, ldb, K, alpha);
  if constexpr (rows > 1) {
    if (m < M)
      multiply_rows<lanes, vectors, rows / 2, along_k, add>(
          c + m * ldc, ldc, a + m * (along_k ? lda : 1), lda, b, ldb, M - m, K, alpha);
  }
}

/// As multiply() for any number of rows and columns.
template <int lanes, int vectors, bool along_k, bool add>
void multiply_columns(real* c, int64_t ldc, const real* a, int64_t lda, const real* b, int64_t ldb,
                      int64_t M, int64_t N, int64_t K, real alpha) {
  int64_t n = 0;
  for (; n + lanes * vectors <= N; n += lanes * vectors)
    multiply_rows<lanes, vectors, kRegisterRows, along_k, add>(c + n, ldc, a, lda, b + n, ldb, M, K,
                                                               alpha);
  if (n == N) return;
  if constexpr (vectors > 1)
    multiply_columns<lanes, 1, along_k, add>(c + n, ldc, a, lda, b + n, ldb, M, N - n, K, alpha);
  else if constexpr (lanes > 1)
    multiply_columns<lanes / 2, 1, along_k, add>(c + n, ldc, a, lda, b + n, ldb, M, N - n, K,
                                                 alpha);
}

}  // namespace tile_detail

/// c (M, N) = alpha * a b, or += if `add`; a (M, K) with numbers `lda` apart from row to row and
/// next to each other along k, or if not `along_k` the other way about; b (K, N).
template <bool along_k, bool add>
void small_product(real* c, int64_t ldc, const real* a, int64_t lda, const real* b, int64_t ldb,
                   int64_t M, int64_t N, int64_t K, real alpha) {
  tile_detail::multiply_columns<kVector, 2, along_k, add>(c, ldc, a, lda, b, ldb, M, N, K, alpha);
}

}  // namespace farsight
