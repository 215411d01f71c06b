// The layers of a pre-LN transformer block.
#pragma once

#include "core/attention.h"
#include "core/ops.h"
#include "nn/cache.h"
#include "nn/module.h"
#include "nn/position.h"

namespace farsight {

/// Dropout at successive places of a forward pass; each draws from the next stream.
struct Dropout {
  real probability = 0;
  Stream next{};

  Tensor operator()(const Tensor& x) {
    const Stream stream = next;
    ++next.stream;
    return dropout(x, probability, stream);
  }
};

/// y = x weightᵀ + bias.
class Linear : public Module {
 public:
  /// Weights start normal with the given deviation, the bias at 0.
  Linear(int64_t in, int64_t out, double deviation, Backend& backend);
  Tensor operator()(const Tensor& x) const { return linear(x, weight_, bias_); }
  /// gelu(y) or gelu_tanh(y).
  Tensor gelu_of(const Tensor& x, bool tanh) const {
    return gelu_of_linear(x, weight_, bias_, tanh);
  }
  /// residual + dropout(y), in one pass where nothing is dropped.
  Tensor operator()(const Tensor& x, const Tensor& residual, Dropout& dropout) const;

 private:
  const Tensor weight_, bias_;  // (out, in), (out)
};

class LayerNorm : public Module {
 public:
  LayerNorm(int64_t width, Backend& backend);
  Tensor operator()(const Tensor& x) const { return layer_norm(x, weight_, bias_); }

 private:
  const Tensor weight_, bias_;  // (C)
};

/// What a block's attention needs besides its input.
struct AttentionContext {
  PositionScheme& position;
  Positions positions;  // of the queries
  Bias bias;
  Ids windows;
  Tensor query_factors{};          // (B, T, C), what the queries are multiplied by; undefined = 1
  KeyValueCache* cache = nullptr;  // of this block: holds all before `positions`, and takes them in
  std::vector<AttentionMass>* mass =
      nullptr;  // receives attention_mass() of the second half of queries
};

/// Multi-head causal self-attention, added to a residual stream.
class SelfAttention : public Module {
 public:
  /// `deviation` is the initial one of the projections, `residual_deviation` of the last.
  SelfAttention(int64_t width, int64_t heads, double deviation, double residual_deviation,
                Backend& backend);
  /// x, residual (B, T, C) to residual + dropout(attention of x), (B, T, C).
  Tensor operator()(const Tensor& x, const AttentionContext& context, const Tensor& residual,
                    Dropout& dropout) const;

 private:
  const int64_t heads_;
  Linear query_, key_, value_, output_;
};

enum class Activation { kGelu, kGeluTanh };

/// Two linear layers with a GELU between them, added to a residual stream.
class FeedForward : public Module {
 public:
  FeedForward(int64_t width, int64_t hidden, Activation activation, double deviation,
              double residual_deviation, Backend& backend);
  /// residual + dropout(down(gelu(up(x)))), all (B, T, C).
  Tensor operator()(const Tensor& x, const Tensor& residual, Dropout& dropout) const;

 private:
  const Activation activation_;
  Linear up_, down_;
};

}  // namespace farsight
