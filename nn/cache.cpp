// Rings of keys and values: see cache.h.
#include "nn/cache.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace farsight {

KeyValueCache::KeyValueCache(int64_t heads, std::vector<int64_t> windows) : caches_(heads) {
  windows.resize(heads, 0);
  for (const int64_t window : windows) rings_.push_back({window, {}, {}});
}

void KeyValueCache::reserve(int64_t tokens, int64_t B, int64_t D, Backend& backend) {
  for (size_t h = 0; h < rings_.size(); ++h) {
    auto& [window, keys, values] = rings_[h];
    const int64_t capacity = caches_[h].capacity;
    if (keys.defined() && (capacity >= tokens || capacity == window)) continue;
    // Doubling, so that a growing text is copied a constant number of times per token.
    int64_t larger = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(tokens)));
    if (window > 0) larger = std::min(larger, window);
    const Tensor new_keys({B, larger, D}, backend), new_values({B, larger, D}, backend);
    // A ring that still grows has not wrapped: position p lies in row p of both.
    for (int64_t b = 0; tokens_ > 0 && b < B; ++b) {
      const int64_t from = b * capacity * D, to = b * larger * D;
      backend.copy(new_keys.data() + to, keys.data() + from, tokens_ * D);
      backend.copy(new_values.data() + to, values.data() + from, tokens_ * D);
    }
    keys = new_keys;
    values = new_values;
    caches_[h] = {keys.data(), values.data(), larger};
  }
}

int64_t KeyValueCache::longest() const {
  int64_t longest = 0;
  for (const Ring& ring : rings_) {
    if (ring.window == 0) return std::numeric_limits<int64_t>::max();
    longest = std::max(longest, ring.window);
  }
  return longest;
}

Tensor KeyValueCache::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias) {
  Backend& backend = q.backend();
  const int64_t B = q.shape()[0], T = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  reserve(tokens_ + T, B, D, backend);
  if (tokens_ == 0) {
    std::vector<int32_t> windows;
    for (const Ring& ring : rings_) windows.push_back(static_cast<int32_t>(ring.window));
    backend.cache_store(caches_.data(), k.data(), v.data(), 0, B, T, H, D);
    tokens_ = T;
    return attention(q, k, v, bias, Ids(windows, backend));
  }
  check(T == 1, "a cache takes one token at a time after the first ones, not ", T);
  // A relative bias need reach no farther back than the longest memory; keys count from position 0.
  const int64_t reach = bias.relative() ? std::min(tokens_ + 1, longest()) : tokens_ + 1;
  BiasView view = view_of(bias, H, 1, reach);
  if (view.base) view.base -= tokens_ + 1 - reach;
  backend.cache_store(caches_.data(), k.data(), v.data(), tokens_, B, 1, H, D);
  Tensor y(q.shape(), backend);
  backend.cache_attention(y.data(), q.data(), caches_.data(), view, tokens_, B, H, D);
  ++tokens_;
  return y;
}

}  // namespace farsight
