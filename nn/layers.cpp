// The layers of a transformer block: see layers.h.
#include "nn/layers.h"

namespace farsight {

Linear::Linear(int64_t in, int64_t out, double deviation, Backend& backend)
    : weight_(add_parameter("weight", {out, in}, normal(deviation), Decay::kYes, backend)),
      bias_(add_parameter("bias", {out}, constant(0), Decay::kNo, backend)) {}

Tensor Linear::operator()(const Tensor& x, const Tensor& residual, Dropout& dropout) const {
  if (dropout.probability == 0) return linear(x, weight_, bias_, residual);
  return add(residual, dropout(linear(x, weight_, bias_)));
}

LayerNorm::LayerNorm(int64_t width, Backend& backend)
    : weight_(add_parameter("weight", {width}, constant(1), Decay::kNo, backend)),
      bias_(add_parameter("bias", {width}, constant(0), Decay::kNo, backend)) {}

SelfAttention::SelfAttention(int64_t width, int64_t heads, double deviation,
                             double residual_deviation, Backend& backend)
    : heads_(heads),
      query_(width, width, deviation, backend),
      key_(width, width, deviation, backend),
      value_(width, width, deviation, backend),
      output_(width, width, residual_deviation, backend) {
  add_child("query", query_);
  add_child("key", key_);
  add_child("value", value_);
  add_child("output", output_);
}

Tensor SelfAttention::operator()(const Tensor& x, const AttentionContext& context,
                                 const Tensor& residual, Dropout& dropout) const {
  const int64_t B = x.shape()[0], T = x.shape()[1], C = x.shape()[2];
  const Shape by_head{B, T, heads_, C / heads_};
  Tensor q = query_(x);
  if (context.query_factors.defined()) q = multiply(q, context.query_factors);
  q = q.reshape(by_head);
  Tensor k = key_(x).reshape(by_head);
  const Tensor v = value_(x).reshape(by_head);
  context.position.rotate(q, k, context.positions);
  if (context.mass)
    context.mass->push_back(attention_mass(q, k, context.bias, context.windows, T / 2));
  const Tensor mixed = context.cache ? context.cache->attend(q, k, v, context.bias)
                                     : attention(q, k, v, context.bias, context.windows);
  return output_(mixed.reshape(x.shape()), residual, dropout);
}

FeedForward::FeedForward(int64_t width, int64_t hidden, Activation activation, double deviation,
                         double residual_deviation, Backend& backend)
    : activation_(activation),
      up_(width, hidden, deviation, backend),
      down_(hidden, width, residual_deviation, backend) {
  add_child("up", up_);
  add_child("down", down_);
}

Tensor FeedForward::operator()(const Tensor& x, const Tensor& residual, Dropout& dropout) const {
  return down_(up_.gelu_of(x, activation_ == Activation::kGeluTanh), residual, dropout);
}

}  // namespace farsight
