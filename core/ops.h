// The differentiable operations, attention apart (attention.h). Each checks its shapes, computes
// through the backend and records its derivative; forward and backward stand together in ops.cpp.
#pragma once

#include <functional>

#include "core/tape.h"
#include "core/tensor.h"

namespace farsight {

/// a + b, of one shape.
Tensor add(const Tensor& a, const Tensor& b);

/// a * b, element by element, of one shape.
Tensor multiply(const Tensor& a, const Tensor& b);

/// alpha * x.
Tensor scale(const Tensor& x, real alpha);

/// x (…, K) times weight (M, K) transposed, plus bias (M) and residual (…, M) if defined: (…, M).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Tensor& residual = {});

/// x Φ(x), Φ the standard normal distribution (Hendrycks & Gimpel 2016).
Tensor gelu(const Tensor& x);

/// GELU's approximation x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))).
Tensor gelu_tanh(const Tensor& x);

/// gelu(linear(x, weight, bias)), or gelu_tanh(…), as one kernel where the backend has one.
Tensor gelu_of_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, bool tanh);

/// max(x, 0).
Tensor relu(const Tensor& x);

Tensor exp(const Tensor& x);

/// ln(1 + x).
Tensor log1p(const Tensor& x);

/// 1 / (1 + e^-x).
Tensor sigmoid(const Tensor& x);

/// (x - mean) / sqrt(variance + epsilon) * gain + shift over the last axis (Ba et al. 2016).
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& shift, real epsilon = 1e-5);

/// Rows of table (V, C) by id: (ids, C).
Tensor embedding(const Tensor& table, const Ids& ids);

/// x plus table (T, C) at each of its B sequences; x (B, T, C).
Tensor add_to_each(const Tensor& x, const Tensor& table);

/// Zeroes each element with probability p and divides the others by 1 - p, by the numbers of
/// `stream`. 0 <= p < 1; p = 0 returns x itself.
Tensor dropout(const Tensor& x, real p, Stream stream);

/// Turns the pairs of each head of x (B, T, H, D) by its position's angles; `table` (T, D/2, 2)
/// holds their cosines and sines and takes no gradient.
Tensor rotate(const Tensor& x, const Tensor& table, PairLayout layout);

/// f(), of which nothing is kept for the backward pass, which calls f once more and goes back
/// through that (Chen et al. 2016): less memory for the time of another forward pass. Gradients
/// reach all that f depends on. f must do the same both times and make a new tensor.
Tensor recompute(const std::function<Tensor()>& f);

/// How many of N rows of V logits cross_entropy holds at a time if it may hold `chunk` logits.
int64_t logit_rows(int64_t N, int64_t V, int64_t chunk);

/// Negative log-likelihood in nats of each target under softmax(x weightᵀ): x (N, C), weight
/// (V, C), targets (N), result (N). Works through the rows in chunks of at most `chunk` logits, or
/// as many as the backend's workspace() if that is 0; if there is more than one, the backward pass
/// computes each chunk once more instead of keeping them.
/// `correct` (N), if given, receives 1 where the target has the largest logit, else 0.
Tensor cross_entropy(const Tensor& x, const Tensor& weight, const Ids& targets,
                     Tensor* correct = nullptr, int64_t chunk = 0);

/// Sum of all elements: a scalar.
Tensor sum(const Tensor& x);

}  // namespace farsight
