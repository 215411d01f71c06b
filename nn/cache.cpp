// Rings of keys and values: see cache.h.
#include "nn/cache.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace farsight {

KeyValueCache::KeyValueCache(int64_t heads, const std::vector<int64_t>& windows,
                             const Ids& window_ids)
    : windows_(window_ids), caches_(heads) {
  for (int64_t h = 0; h < heads; ++h) rings_.push_back({windows.empty() ? 0 : windows[h], {}, {}});
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

double KeyValueCache::bytes() const {
  double total = 0;
  for (const Ring& ring : rings_)
    if (ring.keys.defined()) total += 2.0 * sizeof(real) * static_cast<double>(ring.keys.size());
  return total;
}

Tensor KeyValueCache::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias) {
  Backend& backend = q.backend();
  const int64_t B = q.shape()[0], T = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  const Tensor& kept = rings_[0].keys;
  check(H == static_cast<int64_t>(rings_.size()) &&
            (tokens_ == 0 || (kept.shape()[0] == B && kept.shape()[2] == D)),
        "a cache of ", rings_.size(),
        " heads takes the keys of as many, and of the sequences that ", "it began with, not ",
        k.shape());
  // How many earlier keys anybody can see; all where a dense bias counts from position 0.
  const bool dense = bias.values.defined() && !bias.relative();
  const int64_t past = dense ? tokens_ : std::min(tokens_, longest() - 1);
  if (T == 1 && tokens_ > 0) {
    BiasView view = view_of(bias, H, 1, past + 1);
    if (view.base) view.base -= tokens_ - past;  // the kernel counts keys from position 0
    store(k, v);
    Tensor y(q.shape(), backend);
    backend.cache_attention(y.data(), q.data(), caches_.data(), view, tokens_ - 1, B, H, D);
    return y;
  }
  // Several new tokens see each other, too: what is remembered and what is new, side by side.
  Tensor all_k = k, all_v = v;
  if (past > 0) {
    const Shape shape{B, past + T, H, D};
    all_k = Tensor(shape, backend);
    all_v = Tensor(shape, backend);
    backend.cache_load(all_k.data(), all_v.data(), caches_.data(), tokens_ - past, tokens_, B,
                       past + T, H, D);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t to = (b * (past + T) + past) * H * D, from = b * T * H * D;
      backend.copy(all_k.data() + to, k.data() + from, T * H * D);
      backend.copy(all_v.data() + to, v.data() + from, T * H * D);
    }
  }
  store(k, v);
  return attention(q, all_k, all_v, bias, windows_);
}

void KeyValueCache::store(const Tensor& k, const Tensor& v) {
  const int64_t B = k.shape()[0], T = k.shape()[1], H = k.shape()[2], D = k.shape()[3];
  reserve(tokens_ + T, B, D, k.backend());
  k.backend().cache_store(caches_.data(), k.data(), v.data(), tokens_, B, T, H, D);
  tokens_ += T;
}

}  // namespace farsight
