// Loops over threads that every CPU kernel shares. Work is split statically by index, so that the
// result depends on nothing but the inputs and the number of threads; and wherever it comes out
// even by contiguous shares of the tokens, so that a thread finds in its own cache what it made in
// the op before.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/real.h"

namespace farsight {

/// Below this many elements a second thread costs more than it saves.
inline constexpr int64_t kSerialElements = 8192;

/// f(begin, end) on one contiguous share of [0, n) per thread, each a multiple of 16 elements
/// except the last. Runs on this thread alone if n * `cost` is small.
template <class F>
void parallel_ranges(int64_t n, int64_t cost, const F& f) {
#pragma omp parallel if (n * cost > kSerialElements && n > 1)
  {
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    const int64_t unit = cost == 1 ? 16 : 1;
    const int64_t share = (n + threads * unit - 1) / (threads * unit) * unit;
    const int64_t begin = std::min(n, thread * share), end = std::min(n, begin + share);
    if (begin < end) f(begin, end);
  }
}

/// f(i) for each of n elements, vectorised.
template <class F>
void parallel_elements(int64_t n, const F& f) {
  parallel_ranges(n, 1, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

/// f(row) for each of N rows of C elements.
template <class F>
void parallel_rows(int64_t N, int64_t C, const F& f) {
  parallel_ranges(N, std::max<int64_t>(C, 2), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row);
  });
}

/// f(row, sums) for each of N rows of C elements, `sums` an array of n numbers that starts at 0 and
/// belongs to the thread; then total[i] += those of all threads, in their order. For many rows:
/// each thread's sums cost as much as a row.
template <class F>
void parallel_row_sums(int64_t N, int64_t C, int64_t n, const F& f, real* total) {
  std::vector<real> shares(n * omp_get_max_threads(), 0);
  parallel_ranges(N, std::max<int64_t>(C, 2), [&](int64_t begin, int64_t end) {
    real* const sums = shares.data() + n * omp_get_thread_num();
    for (int64_t row = begin; row < end; ++row) f(row, sums);
  });
  for (auto share = shares.begin(); share != shares.end(); share += n)
    for (int64_t i = 0; i < n; ++i) total[i] += share[i];
}

/// f(unit, sequence) for each of `units` units of each of B sequences, called by each thread of a
/// parallel region. Whole sequences for each thread if they come out even; else units in turn, the
/// last first, since later units of a sequence cost more.
template <class F>
void share_units(int64_t B, int64_t units, const F& f) {
  const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
  if (B % threads == 0) {
    for (int64_t b = thread * B / threads; b < (thread + 1) * B / threads; ++b)
      for (int64_t unit = 0; unit < units; ++unit) f(unit, b);
  } else {
    for (int64_t i = thread; i < B * units; i += threads) f(units - 1 - i / B, i % B);
  }
}

}  // namespace farsight
