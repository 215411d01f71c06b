// What a generating model remembers of earlier tokens: one block's keys and values, so that a new
// token costs one row of each product instead of the whole sequence.
#pragma once

#include <vector>

#include "core/attention.h"

namespace farsight {

/// Each head has a ring that grows with the text up to the head's window and then stays: a head
/// that sees 74 tokens back keeps 74 keys, however long the text becomes.
class KeyValueCache {
 public:
  /// `windows` holds each head's window, 0 = unlimited, or nothing; `window_ids` the same where the
  /// kernels read it.
  KeyValueCache(int64_t heads, const std::vector<int64_t>& windows, const Ids& window_ids);

  /// Attention of new tokens, q, k, v (B, T, H, D), to all tokens so far, which they join.
  /// Not differentiable.
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias);

  /// The farthest that a head sees, in tokens; the largest number if one sees everything.
  int64_t longest() const;

  /// Memory of the rings.
  double bytes() const;

  /// How many tokens were seen.
  int64_t tokens() const { return tokens_; }

 private:
  /// Takes in keys and values (B, T, H, D) of the next tokens.
  void store(const Tensor& k, const Tensor& v);
  /// Makes room for `tokens` tokens in all.
  void reserve(int64_t tokens, int64_t B, int64_t D, Backend& backend);

  struct Ring {
    int64_t window;  // 0 = unlimited
    Tensor keys, values;
  };
  Ids windows_;
  std::vector<Ring> rings_;
  std::vector<HeadCache> caches_;  // the kernels' view of rings_
  int64_t tokens_ = 0;
};

}  // namespace farsight
