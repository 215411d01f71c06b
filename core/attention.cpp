// Fused attention as a differentiable op: see attention.h; the algorithm is in cpu/attention.cpp.
#include "core/attention.h"

#include <cmath>

#include "core/tape.h"

namespace farsight {

const Op kAttention("attention");

namespace {

/// The kernels' view of a bias over T positions; rows count from `offset`.
BiasView view_of(const Bias& bias, int64_t H, int64_t T, int64_t offset, bool with_grad) {
  const Tensor& values = bias.values;
  if (!values.defined()) return {};
  const bool relative = values.shape() == Shape{H, T};
  kAttention.require(relative || values.shape() == Shape({H, T, T}), "the bias must have shape ",
                     Shape({H, T}), " or ", Shape({H, T, T}), ", not ", values.shape());
  BiasView view;
  view.row_stride = relative ? -1 : T;
  view.head_stride = relative ? T : T * T;
  const int64_t start = (relative ? T - 1 : 0) + offset * view.row_stride;
  view.base = values.data() + start;
  if (with_grad && values.grad()) view.grad = values.grad() + start;
  return view;
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias,
                 const Ids& windows) {
  kAttention.require(q.shape().rank() == 4 && k.shape().rank() == 4 && k.shape() == v.shape() &&
                         k.shape() == q.shape().with(1, k.shape()[1]),
                     "needs q (B, Tq, H, D) and k, v (B, Tk, H, D), not ", q.shape(), ", ",
                     k.shape(), " and ", v.shape());
  const int64_t B = q.shape()[0], Tq = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  const int64_t Tk = k.shape()[1];
  kAttention.require(Tq <= Tk, Tq, " queries for ", Tk, " keys");
  kAttention.require(windows.size() == 0 || windows.size() == H, windows.size(), " windows for ", H,
                     " heads");

  const int64_t offset = Tk - Tq;
  const AttentionSizes sizes{
      B, Tq, Tk, H, D, offset, 1 / std::sqrt(static_cast<real>(D)), windows.data()};
  Tensor y(q.shape(), q.backend()), lse({B, H, Tq}, q.backend());
  q.backend().attention(y.data(), lse.data(), q.data(), k.data(), v.data(),
                        view_of(bias, H, Tk, offset, false), sizes);
  // `windows` is captured to keep alive the memory that `sizes` points into.
  kAttention.record({q, k, v, bias.values}, y, [=, windows = windows] {
    y.backend().attention_backward(q.grad(), k.grad(), v.grad(), y.grad(), y.data(), lse.data(),
                                   q.data(), k.data(), v.data(), view_of(bias, H, Tk, offset, true),
                                   sizes);
  });
  return y;
}

}  // namespace farsight
