// The differentiable operations: each forward beside its derivative. See ops.h.
#include "core/ops.h"

#include <algorithm>
#include <memory>

namespace farsight {
namespace {

/// How the gradient of an elementwise function goes back.
auto backward_of(Map kind, const Tensor& x, const Tensor& y) {
  return [=] {
    Backend& backend = x.backend();
    if (x.has_grad()) return backend.map_backward(kind, {x.grad()}, y.grad(), x.data(), x.size());
    y.release_grad_to(x);
    backend.map_backward(kind, {x.grad(), 0}, x.grad(), x.data(), x.size());
  };
}

/// The outline of every elementwise function of one argument.
Tensor map(const Op& op, Map kind, const Tensor& x) {
  Tensor y(x.shape(), x.backend());
  x.backend().map(kind, y.data(), x.data(), x.size());
  op.record({x}, y, backward_of(kind, x, y));
  return y;
}

}  // namespace

const Op kAdd("add");

Tensor add(const Tensor& a, const Tensor& b) {
  kAdd.require(a.shape() == b.shape(), "shapes differ: ", a.shape(), " and ", b.shape());
  Tensor y(a.shape(), a.backend());
  a.backend().add(y.data(), a.data(), b.data(), a.size());
  kAdd.record({a, b}, y, [=] {
    if (b.grad()) y.backend().accumulate(b.grad(), y.grad(), 1, y.size());
    y.release_grad_to(a);
  });
  return y;
}

const Op kMultiply("multiply");

Tensor multiply(const Tensor& a, const Tensor& b) {
  kMultiply.require(a.shape() == b.shape(), "shapes differ: ", a.shape(), " and ", b.shape());
  Tensor y(a.shape(), a.backend());
  a.backend().multiply(y.data(), a.data(), b.data(), a.size());
  kMultiply.record({a, b}, y, [=] {
    Backend& backend = y.backend();
    if (a.grad()) backend.multiply_accumulate(a.grad(), y.grad(), b.data(), y.size());
    if (b.grad()) backend.multiply_accumulate(b.grad(), y.grad(), a.data(), y.size());
  });
  return y;
}

const Op kScale("scale");

Tensor scale(const Tensor& x, real alpha) {
  Tensor y(x.shape(), x.backend());
  x.backend().scale(y.data(), x.data(), alpha, x.size());
  kScale.record({x}, y, [=] { x.backend().accumulate(x.grad(), y.grad(), alpha, x.size()); });
  return y;
}

const Op kLinear("linear");

namespace {

/// linear(), which also makes GELU of its result if `gelu` is there, in place if no tape records.
Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual,
               Tensor* gelu, Map kind) {
  kLinear.require(weight.shape().rank() == 2, "the weight must be a matrix, not ", weight.shape());
  const int64_t N = x.shape().rows(), K = weight.shape()[1], M = weight.shape()[0];
  const Shape shape = x.shape().with(-1, M);
  kLinear.require(x.shape()[-1] == K, "inner sizes differ: ", x.shape()[-1], " and ", K);
  kLinear.require(!bias.defined() || bias.shape() == Shape{M}, "the bias must have shape (", M,
                  "), not ", bias.defined() ? bias.shape() : Shape{});
  kLinear.require(!residual.defined() || residual.shape() == shape, "the residual must have shape ",
                  shape, ", not ", residual.defined() ? residual.shape() : Shape{});

  Tensor y(shape, x.backend());
  if (gelu) *gelu = Tape::current() ? Tensor(shape, x.backend()) : y;
  // The weight will have changed by the next forward pass, but not by this one's backward pass.
  const auto rounded_weight = std::make_shared<RoundedCopy>();
  const Operand w(weight.data(), rounded_weight.get());
  x.backend().gemm(
      y.data(), x.operand(), w, false, true, N, M, K, 1, 0,
      {bias.defined() ? bias.data() : nullptr, residual.defined() ? residual.data() : nullptr,
       gelu ? gelu->data() : nullptr, kind, gelu ? gelu->rounded_copy() : nullptr});
  kLinear.record({x, weight, bias, residual}, y, [=] {
    Backend& backend = y.backend();
    RoundedCopy rounded_dy;
    const Operand dy(y.grad(), &rounded_dy), w(weight.data(), rounded_weight.get());
    if (const GradientSum dx = x.grad_sum())
      backend.gemm(dx.to, dy, w, false, false, N, K, M, 1, dx.beta);
    if (const GradientSum dweight = weight.grad_sum())
      backend.gemm(dweight.to, dy, x.operand(), true, false, M, K, N, 1, dweight.beta);
    if (bias.defined() && bias.grad()) backend.broadcast_rows_backward(bias.grad(), y.grad(), N, M);
    if (residual.defined()) y.release_grad_to(residual);
  });
  return y;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual) {
  return product(x, weight, bias, residual, nullptr, Map::kGelu);
}

const Op kGelu("gelu");
Tensor gelu(const Tensor& x) { return map(kGelu, Map::kGelu, x); }

const Op kGeluTanh("gelu_tanh");
Tensor gelu_tanh(const Tensor& x) { return map(kGeluTanh, Map::kGeluTanh, x); }

Tensor gelu_of_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, bool tanh) {
  const Map kind = tanh ? Map::kGeluTanh : Map::kGelu;
  Tensor y;
  const Tensor hidden = product(x, weight, bias, {}, &y, kind);
  // Its time is the product's already.
  if (hidden.differentiable())
    Tape::current()->push(tanh ? kGeluTanh : kGelu, {hidden}, y, backward_of(kind, hidden, y));
  return y;
}

const Op kRelu("relu");
Tensor relu(const Tensor& x) { return map(kRelu, Map::kRelu, x); }

const Op kExp("exp");
Tensor exp(const Tensor& x) { return map(kExp, Map::kExp, x); }

const Op kLog1p("log1p");
Tensor log1p(const Tensor& x) { return map(kLog1p, Map::kLog1p, x); }

const Op kSigmoid("sigmoid");
Tensor sigmoid(const Tensor& x) { return map(kSigmoid, Map::kSigmoid, x); }

const Op kLayerNorm("layer_norm");

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& shift, real epsilon) {
  const int64_t N = x.shape().rows(), C = x.shape()[-1];
  kLayerNorm.require(gain.shape() == Shape{C} && shift.shape() == Shape{C},
                     "gain and shift must have shape (", C, "), not ", gain.shape(), " and ",
                     shift.shape());
  Backend& backend = x.backend();
  Tensor y(x.shape(), backend), mean({N}, backend), rstd({N}, backend);
  backend.layer_norm(y.data(), mean.data(), rstd.data(), y.rounded_copy(), x.data(), gain.data(),
                     shift.data(), N, C, epsilon);
  kLayerNorm.record({x, gain, shift}, y, [=] {
    y.backend().layer_norm_backward(x.grad(), gain.grad(), shift.grad(), y.grad(), x.data(),
                                    gain.data(), mean.data(), rstd.data(), N, C);
  });
  return y;
}

const Op kEmbedding("embedding", true);

Tensor embedding(const Tensor& table, const Ids& ids) {
  kEmbedding.require(table.shape().rank() == 2, "the table must be a matrix, not ", table.shape());
  const int64_t N = ids.size(), V = table.shape()[0], C = table.shape()[1];
  Tensor y({N, C}, table.backend());
  table.backend().embedding(y.data(), table.data(), ids.data(), N, C);
  kEmbedding.record({table}, y, [=] {
    table.backend().embedding_backward(table.grad(), y.grad(), ids.data(), N, V, C);
  });
  return y;
}

const Op kAddToEach("add_to_each");

Tensor add_to_each(const Tensor& x, const Tensor& table) {
  const int64_t n = table.size(), B = n ? x.size() / n : 0;
  kAddToEach.require(x.shape() == Shape({B, table.shape()[0], table.shape()[1]}), "a table of ",
                     table.shape(), " does not fit sequences of ", x.shape());
  Backend& backend = x.backend();
  Tensor y(x.shape(), backend);
  backend.broadcast_rows(y.data(), table.data(), B, n);
  backend.accumulate(y.data(), x.data(), 1, y.size());
  kAddToEach.record({x, table}, y, [=] {
    if (table.grad()) y.backend().broadcast_rows_backward(table.grad(), y.grad(), B, n);
    y.release_grad_to(x);
  });
  return y;
}

const Op kDropout("dropout");

Tensor dropout(const Tensor& x, real p, Stream stream) {
  kDropout.require(p >= 0 && p < 1, "the probability must be in [0, 1), not ", p);
  if (p == 0) return x;
  Tensor y(x.shape(), x.backend());
  x.backend().dropout(y.data(), x.data(), p, stream, x.size());
  kDropout.record({x}, y,
                  [=] { x.backend().dropout_backward(x.grad(), y.grad(), p, stream, x.size()); });
  return y;
}

const Op kRotate("rotate");

Tensor rotate(const Tensor& x, const Tensor& table, PairLayout layout) {
  kRotate.require(x.shape().rank() == 4 && x.shape()[3] % 2 == 0,
                  "needs (B, T, H, D) with an even D, not ", x.shape());
  const int64_t B = x.shape()[0], T = x.shape()[1], H = x.shape()[2], D = x.shape()[3];
  kRotate.require(table.shape() == Shape({T, D / 2, 2}), "a table of ", table.shape(),
                  " does not fit ", x.shape());
  kRotate.require(!table.differentiable(), "the table takes no gradient");
  Tensor y(x.shape(), x.backend());
  x.backend().rotate(y.data(), x.data(), table.data(), layout, B, T, H, D);
  kRotate.record({x}, y, [=] {
    x.backend().rotate_backward(x.grad_sum(), y.grad(), table.data(), layout, B, T, H, D);
  });
  return y;
}

const Op kCrossEntropy("cross_entropy");

int64_t logit_rows(int64_t N, int64_t V, int64_t chunk) {
  constexpr int64_t kTile = 128;  // of the largest products
  const int64_t rows = std::max<int64_t>(1, chunk / V);
  return std::min(N, rows > kTile ? rows / kTile * kTile : rows);
}

Tensor cross_entropy(const Tensor& x, const Tensor& weight, const Ids& targets, Tensor* correct,
                     int64_t chunk) {
  kCrossEntropy.require(
      x.shape().rank() == 2 && weight.shape().rank() == 2 && x.shape()[1] == weight.shape()[1],
      "needs (N, C) and (V, C), not ", x.shape(), " and ", weight.shape());
  const int64_t N = x.shape()[0], C = x.shape()[1], V = weight.shape()[0];
  kCrossEntropy.require(targets.size() == N, targets.size(), " targets for ", N, " rows");
  Backend& backend = x.backend();
  const int64_t rows = logit_rows(N, V, chunk > 0 ? chunk : backend.workspace());
  Tensor loss({N}, backend), lse({N}, backend), logits({rows, V}, backend);
  if (correct) *correct = Tensor({N}, backend);

  const auto rows_of_x = [=](int64_t first, RoundedCopy* rounded) {
    return rows == N ? x.operand() : Operand(x.data() + first * C, rounded);
  };
  const auto compute_logits = [=](const Operand& x_rows, const Operand& w, int64_t count) {
    x.backend().gemm(logits.data(), x_rows, w, false, true, count, V, C, 1, 0);
  };
  const auto rounded_weight = std::make_shared<RoundedCopy>();
  const Operand w(weight.data(), rounded_weight.get());
  for (int64_t first = 0; first < N; first += rows) {
    const int64_t count = std::min(rows, N - first);
    compute_logits(rows_of_x(first, nullptr), w, count);
    backend.cross_entropy(loss.data() + first, lse.data() + first,
                          correct ? correct->data() + first : nullptr, logits.data(),
                          targets.data() + first, count, V);
  }
  kCrossEntropy.record({x, weight}, loss, [=] {
    Backend& backend = x.backend();
    const Operand w(weight.data(), rounded_weight.get());
    const GradientSum dx = x.grad_sum();
    for (int64_t first = 0; first < N; first += rows) {
      const int64_t count = std::min(rows, N - first);
      RoundedCopy rounded_x, rounded_logits;
      const Operand x_rows = rows_of_x(first, &rounded_x);
      if (rows < N) compute_logits(x_rows, w, count);
      backend.cross_entropy_gradient(logits.data(), &rounded_logits, loss.grad() + first,
                                     lse.data() + first, targets.data() + first, count, V);
      const Operand dlogits(logits.data(), &rounded_logits);
      if (dx) backend.gemm(dx.to + first * C, dlogits, w, false, false, count, C, V, 1, dx.beta);
      if (weight.grad())
        backend.gemm(weight.grad(), dlogits, x_rows, true, false, V, C, count, 1, 1);
    }
  });
  return loss;
}

const Op kRecompute("recompute");

Tensor recompute(const std::function<Tensor()>& f) {
  if (!Tape::current()) return f();
  Tensor y;
  {
    const Tape::Pause pause;
    y = f();
  }
  // What f depends on is not known here, so that it is recorded in any case.
  Tape::current()->push(kRecompute, {}, y, [=] {
    const Tape::Pause pause;
    Tape tape;
    const Tensor again = f();
    y.release_grad_to(again);
    tape.propagate();
  });
  return y;
}

const Op kSum("sum");

Tensor sum(const Tensor& x) {
  Tensor y(Shape{}, x.backend());
  x.backend().sum(y.data(), x.data(), x.size());
  kSum.record({x}, y, [=] { x.backend().accumulate_scalar(x.grad(), y.grad(), x.size()); });
  return y;
}

}  // namespace farsight
