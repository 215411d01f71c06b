// Elementwise kernels: one pass over memory each, bound by its bandwidth.
#include "core/cpu/cpu_backend.h"
#include "core/cpu/parallel.h"
#include "core/cpu/vector_math.h"

namespace farsight {
namespace {

// Each function beside its derivative, as a pair of static members.

struct Gelu {
  static real value(real x) { return x * normal_cdf(x); }
  static real derivative(real x) { return normal_cdf(x) + x * normal_density(x); }
};

struct GeluTanh {
  static constexpr real kScale = 0.7978845608028654;  // sqrt(2 / π)
  static constexpr real kCubic = 0.044715;
  static real value(real x) {
    return real(0.5) * x * (1 + tanh_fast(kScale * (x + kCubic * x * x * x)));
  }
  static real derivative(real x) {
    const real t = tanh_fast(kScale * (x + kCubic * x * x * x));
    return real(0.5) * (1 + t) + real(0.5) * x * (1 - t * t) * kScale * (1 + 3 * kCubic * x * x);
  }
};

struct Relu {
  static real value(real x) { return x > 0 ? x : 0; }
  static real derivative(real x) { return x > 0 ? 1 : 0; }
};

struct Exp {
  static real value(real x) { return exp_fast(x); }
  static real derivative(real x) { return exp_fast(x); }
};

struct Log1p {
  static real value(real x) { return std::log1p(x); }
  static real derivative(real x) { return 1 / (1 + x); }
};

struct Sigmoid {
  static real value(real x) { return 1 / (1 + exp_fast(-x)); }
  static real derivative(real x) { return value(x) * (1 - value(x)); }
};

/// Calls f with the struct of functions that `kind` names.
template <class F>
void with_map(Map kind, const F& f) {
  switch (kind) {
    case Map::kGelu:
      return f(Gelu{});
    case Map::kGeluTanh:
      return f(GeluTanh{});
    case Map::kRelu:
      return f(Relu{});
    case Map::kExp:
      return f(Exp{});
    case Map::kLog1p:
      return f(Log1p{});
    case Map::kSigmoid:
      return f(Sigmoid{});
  }
}

/// f(i, kept) for each element, kept = 0 or 1 / (1 - p). Four elements share one Philox counter.
template <class F>
void for_each_kept(real p, Stream stream, int64_t n, const F& f) {
  const real factor = 1 / (1 - p);
  const auto threshold = static_cast<uint32_t>(static_cast<double>(p) * 0x1p32);
  parallel_rows((n + 3) / 4, 64, [&](int64_t block) {
    const auto words = philox(stream.seed, stream.stream, block);
    for (int64_t i = block * 4; i < std::min(n, block * 4 + 4); ++i)
      f(i, words[i % 4] >= threshold ? factor : real(0));
  });
}

}  // namespace

void CpuBackend::add(real* y, const real* a, const real* b, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] = a[i] + b[i]; });
}

void CpuBackend::multiply(real* y, const real* a, const real* b, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] = a[i] * b[i]; });
}

void CpuBackend::scale(real* y, const real* x, real alpha, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] = alpha * x[i]; });
}

void CpuBackend::accumulate(real* y, const real* x, real alpha, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] += alpha * x[i]; });
}

void CpuBackend::multiply_accumulate(real* y, const real* a, const real* b, int64_t n) {
  parallel_elements(n, [=](int64_t i) { y[i] += a[i] * b[i]; });
}

void CpuBackend::accumulate_scalar(real* y, const real* s, int64_t n) {
  const real value = s[0];
  parallel_elements(n, [=](int64_t i) { y[i] += value; });
}

void CpuBackend::map(Map kind, real* y, const real* x, int64_t n) {
  with_map(kind, [=](auto f) { parallel_elements(n, [=](int64_t i) { y[i] = f.value(x[i]); }); });
}

void CpuBackend::map_backward(Map kind, GradientSum dx, const real* dy, const real* x, int64_t n) {
  real* const to = dx.to;
  with_map(kind, [=](auto f) {
    if (dx.beta == 0)
      parallel_elements(n, [=](int64_t i) { to[i] = dy[i] * f.derivative(x[i]); });
    else
      parallel_elements(n, [=](int64_t i) { to[i] += dy[i] * f.derivative(x[i]); });
  });
}

void CpuBackend::dropout(real* y, const real* x, real p, Stream stream, int64_t n) {
  for_each_kept(p, stream, n, [=](int64_t i, real kept) { y[i] = x[i] * kept; });
}

void CpuBackend::dropout_backward(real* dx, const real* dy, real p, Stream stream, int64_t n) {
  for_each_kept(p, stream, n, [=](int64_t i, real kept) { dx[i] += dy[i] * kept; });
}

}  // namespace farsight
