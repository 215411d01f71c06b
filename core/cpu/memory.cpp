// The machine, and its memory.
#include <omp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iomanip>

#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/error.h"

namespace farsight {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

Backend& cpu_backend() {
  // Never destroyed: tensors with static lifetime may give their memory back after main().
  static CpuBackend& backend = *new CpuBackend;
  return backend;
}

std::string CpuBackend::description() const {
  const int threads = omp_get_max_threads();
  const double gib = static_cast<double>(memory_bytes()) / (1 << 30);
  return concat(processor_name(), ", ", threads, threads == 1 ? " thread, " : " threads, ",
                std::fixed, std::setprecision(1), gib, " GiB");
}

size_t CpuBackend::memory_bytes() const {
  struct sysinfo info {};
  sysinfo(&info);
  return info.totalram * info.mem_unit;
}

size_t CpuBackend::peak_bytes() const {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

void* CpuBackend::allocate(size_t bytes) {
  constexpr size_t kLine = 64;  // a cache line, and the widest vector
  constexpr size_t kHugePage = size_t{2} << 20;
  // Large memory in huge pages, where the system has them: fewer misses of the page tables' cache.
  const bool huge = bytes >= kHugePage;
  const size_t rounded = std::max(kLine, (bytes + kLine - 1) / kLine * kLine);
  void* data = nullptr;
  const bool failed = posix_memalign(&data, huge ? kHugePage : kLine, rounded) != 0;
  check(!failed, "out of memory: ", bytes >> 20, " MiB more were asked for; use a smaller batch, ",
        "length or model");
#ifdef MADV_HUGEPAGE
  if (huge) madvise(data, rounded, MADV_HUGEPAGE);
#endif
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
