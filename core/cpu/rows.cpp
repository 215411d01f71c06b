// Rows repeated and looked up: bias vectors and embeddings.
#include <algorithm>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"

namespace farsight {
namespace {

/// f(first, last) on column ranges of a (N, C) matrix, one per thread: sums down the columns have
/// one fixed order and need no partial results.
template <class F>
void parallel_columns(int64_t N, int64_t C, const F& f) {
  constexpr int64_t kWidth = 16;  // columns in a cache line
  parallel_ranges((C + kWidth - 1) / kWidth, N * kWidth, [&](int64_t begin, int64_t end) {
    f(begin * kWidth, std::min(C, end * kWidth));
  });
}

}  // namespace

void CpuBackend::broadcast_rows(real* y, const real* b, int64_t N, int64_t C) {
  parallel_rows(N, C, [=](int64_t n) { std::copy(b, b + C, y + n * C); });
}

void CpuBackend::broadcast_rows_backward(real* db, const real* dy, int64_t N, int64_t C) {
  constexpr int64_t kFewRows = 64;  // as of tables of positions, which are added to B sequences
  if (N < kFewRows) {
    parallel_columns(N, C, [=](int64_t first, int64_t last) {
      for (int64_t n = 0; n < N; ++n) {
#pragma omp simd
        for (int64_t c = first; c < last; ++c) db[c] += dy[n * C + c];
      }
    });
    return;
  }
  parallel_row_sums(
      N, C, C,
      [=](int64_t n, real* sums) {
        const real* row = dy + n * C;
#pragma omp simd
        for (int64_t c = 0; c < C; ++c) sums[c] += row[c];
      },
      db);
}

void CpuBackend::embedding(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C) {
  parallel_rows(N, C, [=](int64_t n) {
    const real* row = table + ids[n] * C;
    std::copy(row, row + C, y + n * C);
  });
}

void CpuBackend::embedding_backward(real* dtable, const real* dy, const int32_t* ids, int64_t N,
                                    int64_t /*V*/, int64_t C) {
  parallel_columns(N, C, [=](int64_t first, int64_t last) {
    for (int64_t n = 0; n < N; ++n) {
      real* to = dtable + ids[n] * C;
      const real* from = dy + n * C;
#pragma omp simd
      for (int64_t c = first; c < last; ++c) to[c] += from[c];
    }
  });
}

}  // namespace farsight
