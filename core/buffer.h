// Memory of one backend, taken from a pool. Activations have the same sizes at every training
// step, so a free list by exact size means that after the first step nothing reaches the system.
#pragma once

#include <cstddef>
#include <utility>

namespace farsight {

class Backend;

/// Owns `bytes` bytes of a backend's memory; returns them to the backend's pool when destroyed.
/// Contents start undefined. Movable, not copyable.
class Buffer {
 public:
  Buffer() = default;
  Buffer(size_t bytes, Backend& backend);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }

  void* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(backend_, other.backend_);
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
  Backend* backend_ = nullptr;
};

}  // namespace farsight
