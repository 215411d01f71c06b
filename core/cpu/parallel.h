// Loops over threads that every CPU kernel shares. Work is split statically by index, so that the
// result depends on nothing but the inputs and the number of threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

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

}  // namespace farsight
