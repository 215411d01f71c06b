// Memory of the CPU backend.
#include <cstdlib>
#include <cstring>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/error.h"

namespace farsight {

Backend& cpu_backend() {
  // Never destroyed: tensors with static lifetime may give their memory back after main().
  static CpuBackend& backend = *new CpuBackend;
  return backend;
}

void* CpuBackend::allocate(size_t bytes) {
  constexpr size_t kAlignment = 64;  // a cache line, and the widest vector
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded ? rounded : kAlignment);
  check(data, "out of memory: ", bytes >> 20, " MiB more were asked for; use a smaller batch, ",
        "length or model");
  return data;
}

void CpuBackend::release(void* data, size_t) { std::free(data); }

void CpuBackend::upload(void* to, const void* host, size_t bytes) {
  if (bytes) std::memcpy(to, host, bytes);
}

void CpuBackend::download(void* host, const void* from, size_t bytes) {
  if (bytes) std::memcpy(host, from, bytes);
}

void CpuBackend::copy(real* y, const real* x, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] = x[i]; });
}

void CpuBackend::fill(real* y, real value, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] = value; });
}

}  // namespace farsight
