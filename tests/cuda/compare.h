// Comparisons of the CUDA backend's numbers with the CPU's.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "core/tensor.h"

namespace farsight {

/// What rounding may change, as a share of the largest number: sums are made in other orders, and
/// the CPU's normal distribution is an approximation in float.
inline constexpr double kRounding = sizeof(real) == 4 ? 2e-5 : 1e-12;

/// The largest |a - b|, as a share of the largest |b| (of 1, if that is smaller); infinite if sizes
/// differ or a number is NaN.
inline double difference(const std::vector<real>& a, const std::vector<real>& b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a.size() != b.size()) return kInfinity;
  double worst = 0, largest = 1;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!std::isfinite(error)) return kInfinity;
    worst = std::max(worst, error);
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

/// The tensor's values on another device.
inline Tensor copy_to(Backend& backend, const Tensor& x) {
  const Tensor y = Tensor::from(x.shape(), x.to_vector(), backend);
  if (x.differentiable()) y.track();
  return y;
}

/// Normal values of the stream of this number, the same on every device.
inline Tensor numbers(const Shape& shape, uint64_t stream, Backend& backend) {
  std::vector<real> values(shape.size());
  const Stream normal{11, stream};
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<real>(normal.normal(i));
  return Tensor::from(shape, values, backend);
}

}  // namespace farsight
