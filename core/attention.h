// Causal attention as one fused op for every positional scheme.
#pragma once

#include "core/tensor.h"

namespace farsight {

/// What a positional scheme adds to the scaled scores.
///
/// Relative, values (H, T), T at least the number of keys: column c is the bias at distance
/// T - 1 - c, so that the newest key comes last. Written this way the row of query i, keys 0 … i,
/// is the contiguous run of values that ends in the last column, and kernels read it as a dense
/// bias whose row stride is -1.
/// Dense, values (H, Tq, Tk): entry (h, i, j) belongs to the call's query i and to key j.
/// Undefined values mean no bias. A gradient flows to the values if they are differentiable.
struct Bias {
  Tensor values;

  bool relative() const { return values.defined() && values.shape().rank() == 2; }
};

/// The kernels' view of a bias over Tq queries, the last of Tk positions. Throws Error if its shape
/// does not fit.
BiasView view_of(const Bias& bias, int64_t H, int64_t Tq, int64_t Tk, bool with_grad = false);

/// softmax(q kᵀ / sqrt(D) + bias) v, query p attending to keys max(0, p - window + 1) … p.
///
/// q (B, Tq, H, D); k, v (B, Tk, H, D); result (B, Tq, H, D). The first query stands at position
/// Tk - Tq: behind a key-value cache Tq is smaller than Tk. `windows` (H) limits each head, 0
/// meaning unlimited; undefined means no limits. The bias covers Tk positions. Memory grows
/// linearly with Tk: the scores are never held whole, and blocks that nobody sees are skipped.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias = {},
                 const Ids& windows = {});

/// Where the probabilities of attention go, summed over sequences and queries.
struct AttentionMass {
  Tensor mass;     // (H, Tk), by distance 0 … Tk - 1 between query and key
  Tensor entropy;  // (H), nats
};

/// Of `attention(q, k, …)`, over the queries from `first` on. Not differentiable.
AttentionMass attention_mass(const Tensor& q, const Tensor& k, const Bias& bias = {},
                             const Ids& windows = {}, int64_t first = 0);

}  // namespace farsight
