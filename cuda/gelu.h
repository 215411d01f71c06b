// GELU beside its derivative, for elementwise kernels and for the end of a matrix product.
#pragma once

#include <cmath>

#include "core/real.h"
#include "cuda/gpu.h"

namespace farsight {

struct Gelu {
  static constexpr real kHalfRoot = 0.7071067811865476;  // 1 / sqrt(2)
  static constexpr real kDensity = 0.3989422804014327;   // 1 / sqrt(2 π)
  static __device__ real cdf(real x) { return real(0.5) * std::erfc(-x * kHalfRoot); }
  static __device__ real value(real x) { return x * cdf(x); }
  static __device__ real derivative(real x) {
    return cdf(x) + x * kDensity * std::exp(real(-0.5) * x * x);
  }
};

struct GeluTanh {
  static constexpr real kScale = 0.7978845608028654;  // sqrt(2 / π)
  static constexpr real kCubic = 0.044715;
  static __device__ real value(real x) {
    return real(0.5) * x * (1 + std::tanh(kScale * (x + kCubic * x * x * x)));
  }
  static __device__ real derivative(real x) {
    const real t = std::tanh(kScale * (x + kCubic * x * x * x));
    return real(0.5) * (1 + t) + real(0.5) * x * (1 - t * t) * kScale * (1 + 3 * kCubic * x * x);
  }
};

}  // namespace farsight
