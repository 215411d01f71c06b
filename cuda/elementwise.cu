// Elementwise kernels: each reads its inputs once and writes its output once, four numbers (16
// bytes in float) per thread and access, neighbours by neighbouring threads. They are bound by the
// memory's bandwidth; twin of core/cpu/elementwise.cpp.
#include "cuda/cuda_backend.h"
#include "cuda/gelu.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 256;

template <int inputs>
struct Inputs {
  const real* of[inputs > 0 ? inputs : 1];
};

/// y[i] = f(inputs' elements i). The last elements, and all of unaligned arrays, go one by one.
template <int inputs, class F>
__global__ void __launch_bounds__(kThreads)
    elementwise(real* y, Inputs<inputs> x, int64_t n, bool fours, F f) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * 4;
  if (fours && first + 4 <= n) {
    Four in[inputs > 0 ? inputs : 1], out;
    for (int k = 0; k < inputs; ++k) in[k] = load_four(x.of[k] + first);
    for (int j = 0; j < 4; ++j) {
      real one[inputs > 0 ? inputs : 1];
      for (int k = 0; k < inputs; ++k) one[k] = in[k].v[j];
      out.v[j] = f(one);
    }
    store_four(y + first, out);
  } else {
    for (int64_t i = first; i < first + 4 && i < n; ++i) {
      real one[inputs > 0 ? inputs : 1];
      for (int k = 0; k < inputs; ++k) one[k] = x.of[k][i];
      y[i] = f(one);
    }
  }
}

// What is done to each element; x holds the inputs'.

struct Add {
  __device__ real operator()(const real* x) const { return x[0] + x[1]; }
};
struct Multiply {
  __device__ real operator()(const real* x) const { return x[0] * x[1]; }
};
struct Scale {
  real alpha;
  __device__ real operator()(const real* x) const { return alpha * x[0]; }
};
struct Accumulate {
  real alpha;
  __device__ real operator()(const real* x) const { return x[0] + alpha * x[1]; }
};
struct MultiplyAccumulate {
  __device__ real operator()(const real* x) const { return x[0] + x[1] * x[2]; }
};
struct AccumulateScalar {
  const real* s;
  __device__ real operator()(const real* x) const { return x[0] + s[0]; }
};
struct Fill {
  real value;
  __device__ real operator()(const real*) const { return value; }
};

// Each function beside its derivative; GELU is in gelu.h.

struct Relu {
  static __device__ real value(real x) { return x > 0 ? x : 0; }
  static __device__ real derivative(real x) { return x > 0 ? 1 : 0; }
};

struct Exp {
  static __device__ real value(real x) { return std::exp(x); }
  static __device__ real derivative(real x) { return std::exp(x); }
};

struct Log1p {
  static __device__ real value(real x) { return std::log1p(x); }
  static __device__ real derivative(real x) { return 1 / (1 + x); }
};

struct Sigmoid {
  static __device__ real value(real x) { return 1 / (1 + std::exp(-x)); }
  static __device__ real derivative(real x) { return value(x) * (1 - value(x)); }
};

template <class Function>
struct Value {
  __device__ real operator()(const real* x) const { return Function::value(x[0]); }
};
/// dy f'(x)
template <class Function>
struct Derivative {
  __device__ real operator()(const real* x) const { return x[0] * Function::derivative(x[1]); }
};
/// dy f'(x) + dx
template <class Function>
struct AddDerivative {
  __device__ real operator()(const real* x) const {
    return x[0] * Function::derivative(x[1]) + x[2];
  }
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

/// Starts y = f(inputs).
template <class F, class... P>
void elementwise_over(const Queue& queue, int64_t n, F f, real* y, const P*... inputs) {
  if (n == 0) return;
  queue.start(elementwise<sizeof...(P), F>, grid_x(n, 4 * kThreads), kThreads, 0, y,
              Inputs<sizeof...(P)>{{inputs...}}, n, aligned(y, inputs...), f);
}

/// y = kept * x, or y += kept * x; a thread does the four elements of one Philox counter.
template <bool add>
__global__ void __launch_bounds__(kThreads)
    drop(real* y, const real* x, uint32_t threshold, real factor, Stream stream, int64_t n,
         bool fours) {
  const int64_t counter = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t first = counter * 4;
  if (first >= n) return;
  const auto words = philox(stream.seed, stream.stream, counter);
  if (fours && first + 4 <= n) {
    const Four in = load_four(x + first);
    Four out{{0, 0, 0, 0}};
    if (add) out = load_four(y + first);
    for (int j = 0; j < 4; ++j) out.v[j] += words[j] >= threshold ? factor * in.v[j] : real(0);
    store_four(y + first, out);
    return;
  }
  for (int j = 0; j < 4 && first + j < n; ++j) {
    const real kept = words[j] >= threshold ? factor * x[first + j] : real(0);
    y[first + j] = add ? y[first + j] + kept : kept;
  }
}

template <bool add>
void drop_over(const Queue& queue, real* y, const real* x, real p, Stream stream, int64_t n) {
  if (n == 0) return;
  const auto threshold = static_cast<uint32_t>(static_cast<double>(p) * 0x1p32);
  queue.start(drop<add>, grid_x(n, 4 * kThreads), kThreads, 0, y, x, threshold, 1 / (1 - p), stream,
              n, aligned(y, x));
}

}  // namespace

const void* CudaBackend::sample_kernel() {
  return reinterpret_cast<const void*>(elementwise<2, Add>);
}

void CudaBackend::add(real* y, const real* a, const real* b, int64_t n) {
  elementwise_over(queue_, n, Add{}, y, a, b);
}

void CudaBackend::multiply(real* y, const real* a, const real* b, int64_t n) {
  elementwise_over(queue_, n, Multiply{}, y, a, b);
}

void CudaBackend::scale(real* y, const real* x, real alpha, int64_t n) {
  elementwise_over(queue_, n, Scale{alpha}, y, x);
}

void CudaBackend::accumulate(real* y, const real* x, real alpha, int64_t n) {
  elementwise_over(queue_, n, Accumulate{alpha}, y, y, x);
}

void CudaBackend::multiply_accumulate(real* y, const real* a, const real* b, int64_t n) {
  elementwise_over(queue_, n, MultiplyAccumulate{}, y, y, a, b);
}

void CudaBackend::accumulate_scalar(real* y, const real* s, int64_t n) {
  elementwise_over(queue_, n, AccumulateScalar{s}, y, y);
}

void CudaBackend::fill(real* y, real value, int64_t n) {
  elementwise_over(queue_, n, Fill{value}, y);
}

void CudaBackend::map(Map kind, real* y, const real* x, int64_t n) {
  with_map(kind, [&](auto f) { elementwise_over(queue_, n, Value<decltype(f)>{}, y, x); });
}

void CudaBackend::map_backward(Map kind, GradientSum dx, const real* dy, const real* x, int64_t n) {
  with_map(kind, [&](auto f) {
    dx.beta == 0 ? elementwise_over(queue_, n, Derivative<decltype(f)>{}, dx.to, dy, x)
                 : elementwise_over(queue_, n, AddDerivative<decltype(f)>{}, dx.to, dy, x, dx.to);
  });
}

void CudaBackend::dropout(real* y, const real* x, real p, Stream stream, int64_t n) {
  drop_over<false>(queue_, y, x, p, stream, n);
}

void CudaBackend::dropout_backward(real* dx, const real* dy, real p, Stream stream, int64_t n) {
  drop_over<true>(queue_, dx, dy, p, stream, n);
}

}  // namespace farsight
