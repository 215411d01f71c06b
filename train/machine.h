// What the machine can do at best, measured: what a benchmark's figures are compared with.
#pragma once

#include <chrono>
#include <vector>

#include "core/backend.h"

namespace farsight {

struct Peaks {
  double flops;  // per second, of a large square matrix product in the backend's precision
  double bytes;  // per second, of a copy too large for the caches, bytes read and bytes written
};

/// Takes a fraction of a second and, for a moment, 256 MiB.
Peaks measure_peaks(Backend& backend);

/// Seconds of f() on the backend, to its end.
template <class F>
double seconds_of(Backend& backend, const F& f) {
  backend.wait();
  const auto start = std::chrono::steady_clock::now();
  f();
  backend.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Median of the values, which it sorts.
double median(std::vector<double>& values);

}  // namespace farsight
