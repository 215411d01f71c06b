// The extents of a tensor: up to four, row-major.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "core/error.h"

namespace farsight {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;

  /// Throws if there are more than four extents or one is negative.
  Shape(std::initializer_list<int64_t> extents) {
    check(extents.size() <= kMaxRank, "a shape has at most ", kMaxRank, " extents, not ",
          extents.size());
    for (const int64_t extent : extents) {
      check(extent >= 0, "an extent is never negative: ", extent);
      extents_[rank_++] = extent;
    }
  }

  int rank() const { return rank_; }

  /// Extent `axis`; negative axes count from the back, as in Python.
  int64_t operator[](int axis) const { return extents_[axis < 0 ? rank_ + axis : axis]; }

  /// The same shape with another extent at `axis`.
  Shape with(int axis, int64_t extent) const {
    Shape other = *this;
    other.extents_[axis < 0 ? rank_ + axis : axis] = extent;
    return other;
  }

  /// The number of elements; 1 for a scalar (rank 0).
  int64_t size() const {
    int64_t product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= extents_[axis];
    return product;
  }

  /// size() / last extent: how many rows a row-wise op sees.
  int64_t rows() const {
    int64_t product = 1;
    for (int axis = 0; axis + 1 < rank_; ++axis) product *= extents_[axis];
    return product;
  }

  bool operator==(const Shape&) const = default;

  /// "(8, 128, 384)"; streamed rather than returned, so that checks that pass build no text.
  friend std::ostream& operator<<(std::ostream& stream, const Shape& shape) {
    stream << '(';
    for (int axis = 0; axis < shape.rank_; ++axis)
      stream << (axis ? ", " : "") << shape.extents_[axis];
    return stream << ')';
  }

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace farsight
