// Pooled memory: see buffer.h.
#include "core/buffer.h"

#include "core/backend.h"

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
  held_bytes_ += bytes;
  return backend_.allocate(bytes);
}

void Pool::give_back(void* data, size_t bytes) { free_[bytes].push_back(data); }

void Pool::trim() {
  for (auto& [bytes, free] : free_) {
    for (void* data : free) backend_.release(data, bytes);
    held_bytes_ -= bytes * free.size();
    free.clear();
  }
}

}  // namespace farsight
