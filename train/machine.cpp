// Peaks: see machine.h.
#include "train/machine.h"

#include <algorithm>

#include "core/tensor.h"

namespace farsight {

Peaks measure_peaks(Backend& backend) {
  constexpr int kTimes = 5;
  constexpr int64_t kSide = 2048, kCopied = int64_t{1} << 25;
  const auto best = [&](const auto& f) {
    double seconds = seconds_of(backend, f);
    for (int i = 1; i < kTimes; ++i) seconds = std::min(seconds, seconds_of(backend, f));
    return seconds;
  };
  Peaks peaks{};
  {
    const Tensor a = Tensor::full({kCopied}, 1, backend), b = Tensor::full({kCopied}, 1, backend);
    peaks.flops =
        2.0 * kSide * kSide * kSide / best([&] {
          backend.gemm(a.data(), b.data(), b.data(), false, false, kSide, kSide, kSide, 1, 0);
        });
    peaks.bytes =
        2.0 * sizeof(real) * kCopied / best([&] { backend.copy(a.data(), b.data(), kCopied); });
  }
  backend.pool().trim();
  return peaks;
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

}  // namespace farsight
