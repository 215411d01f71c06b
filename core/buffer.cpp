// Pooled memory: see buffer.h.
#include "core/buffer.h"

#include <algorithm>
#include <new>

#include "core/backend.h"
#include "core/error.h"

namespace farsight {

Buffer::Buffer(size_t bytes, Backend& backend)
    : data_(backend.pool().take(bytes)), bytes_(bytes), backend_(&backend) {}

Buffer::~Buffer() {
  if (data_) backend_->pool().give_back(data_, bytes_);
}

void* Pool::take(size_t bytes) {
  auto& free = free_[bytes];
  if (!free.empty()) {
    void* data = free.back();
    free.pop_back();
    return data;
  }
  void* data;
  try {
    data = backend_.allocate(bytes);
  } catch (const Error&) {
    trim();  // idle buffers of other sizes may make room
    data = backend_.allocate(bytes);
  }
  held_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, held_bytes_);
  return data;
}

void Pool::give_back(void* data, size_t bytes) noexcept {
  try {
    free_[bytes].push_back(data);
  } catch (const std::bad_alloc&) {
    backend_.release(data, bytes);
    held_bytes_ -= bytes;
  }
}

size_t Pool::idle_bytes() const {
  size_t total = 0;
  for (const auto& [bytes, free] : free_) total += bytes * free.size();
  return total;
}

void Pool::trim(size_t least) {
  for (auto at = free_.lower_bound(least); at != free_.end(); ++at) {
    auto& [bytes, free] = *at;
    for (void* data : free) backend_.release(data, bytes);
    held_bytes_ -= bytes * free.size();
    free.clear();
  }
}

}  // namespace farsight
