// Fused attention as a differentiable op: see attention.h; the algorithm is in cpu/attention.cpp.
#include "core/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/tape.h"

namespace farsight {

const Op kAttention("attention");

BiasView view_of(const Bias& bias, int64_t H, int64_t Tq, int64_t Tk, bool with_grad) {
  const Tensor& values = bias.values;
  if (!values.defined()) return {};
  const int64_t T = values.shape()[-1];
  const bool relative = bias.relative() && values.shape()[0] == H && T >= Tk;
  kAttention.require(relative || values.shape() == Shape({H, Tq, Tk}), "the bias must have shape ",
                     Shape({H, Tk}), ", or longer, or ", Shape({H, Tq, Tk}), ", not ",
                     values.shape());
  BiasView view;
  view.row_stride = relative ? -1 : Tk;
  view.head_stride = relative ? T : Tq * Tk;
  // The first query stands at position Tk - Tq, which is the key at distance 0 from it.
  const int64_t start = relative ? T - 1 - (Tk - Tq) : 0;
  view.base = values.data() + start;
  if (with_grad && values.grad()) view.grad = values.grad() + start;
  return view;
}

namespace {

/// Throws unless the shapes fit; the sizes of the call.
AttentionSizes sizes_of(const Tensor& q, const Tensor& k, const Ids& windows) {
  kAttention.require(q.shape().rank() == 4 && k.shape().rank() == 4 &&
                         k.shape() == q.shape().with(1, k.shape()[1]),
                     "needs q (B, Tq, H, D) and k, v (B, Tk, H, D), not ", q.shape(), " and ",
                     k.shape());
  const int64_t B = q.shape()[0], Tq = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  const int64_t Tk = k.shape()[1];
  kAttention.require(Tq <= Tk, Tq, " queries for ", Tk, " keys");
  kAttention.require(windows.size() == 0 || windows.size() == H, windows.size(), " windows for ", H,
                     " heads");
  return {B, Tq, Tk, H, D, Tk - Tq, 1 / std::sqrt(static_cast<real>(D)), windows.data()};
}

/// Counts what `products` matrix products over the scores that are computed cost, for profiles.
void count_products(const AttentionSizes& s, const Ids& windows, int products, Backend& backend) {
  if (!Profile::active()) return;
  std::vector<int32_t> limits(s.H, 0);
  if (windows.size()) backend.download(limits.data(), windows.data(), s.H * sizeof(int32_t));
  double scores = 0;
  for (const int32_t window : limits)
    for (int64_t p = s.offset; p < s.offset + s.Tq; ++p)
      scores += static_cast<double>(window > 0 ? std::min<int64_t>(window, p + 1) : p + 1);
  backend.count_flops(2.0 * products * static_cast<double>(s.B * s.D) * scores);
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias,
                 const Ids& windows) {
  kAttention.require(k.shape() == v.shape(), "keys ", k.shape(), " and values ", v.shape(),
                     " differ in shape");
  const AttentionSizes sizes = sizes_of(q, k, windows);
  const int64_t H = sizes.H, Tq = sizes.Tq, Tk = sizes.Tk;
  Tensor y(q.shape(), q.backend()), lse({sizes.B, H, Tq}, q.backend());
  q.backend().attention(y.data(), lse.data(), q.operand(), k.operand(), v.operand(),
                        view_of(bias, H, Tq, Tk), sizes);
  count_products(sizes, windows, 2, q.backend());
  // `windows` is captured to keep alive the memory that `sizes` points into.
  kAttention.record({q, k, v, bias.values}, y, [=, windows = windows] {
    // In this order the backend makes them, should two be one.
    const GradientSum dk = k.grad_sum(), dv = v.grad_sum(), dq = q.grad_sum();
    y.backend().attention_backward(dq, dk, dv, y.grad(), y.data(), lse.data(), q.operand(),
                                   k.operand(), v.operand(), view_of(bias, H, Tq, Tk, true), sizes);
    count_products(sizes, windows, 5, y.backend());
  });
  return y;
}

AttentionMass attention_mass(const Tensor& q, const Tensor& k, const Bias& bias, const Ids& windows,
                             int64_t first) {
  const AttentionSizes sizes = sizes_of(q, k, windows);
  kAttention.require(first >= 0 && first < sizes.Tq, first, " is none of ", sizes.Tq, " queries");
  const BiasView view = view_of(bias, sizes.H, sizes.Tq, sizes.Tk);
  Backend& backend = q.backend();
  Tensor mixed(q.shape(), backend), lse({sizes.B, sizes.H, sizes.Tq}, backend);
  AttentionMass result{Tensor({sizes.H, sizes.Tk}, backend), Tensor({sizes.H}, backend)};
  backend.attention(mixed.data(), lse.data(), q.data(), k.data(), k.data(), view, sizes);
  backend.attention_mass(result.mass.data(), result.entropy.data(), lse.data(), q.data(), k.data(),
                         view, sizes, first);
  return result;
}

}  // namespace farsight
