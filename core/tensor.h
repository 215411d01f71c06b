// A tensor: a shape over shared storage of values and, on demand, of gradients.
//
// Dense and row-major; reshape() is the only view; there is no broadcasting and no op in place.
// Copying a Tensor copies a handle: both see the same values and the same gradient.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/backend.h"
#include "core/buffer.h"
#include "core/shape.h"

namespace farsight {

class Tensor {
 public:
  /// Undefined: stands for "none" where an argument is optional.
  Tensor() = default;

  /// Values undefined until a kernel writes them.
  Tensor(const Shape& shape, Backend& backend);

  static Tensor full(const Shape& shape, real value, Backend& backend);

  /// Copies host values; their number must fit the shape.
  static Tensor from(const Shape& shape, std::span<const real> values, Backend& backend);

  bool defined() const { return node_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return shape_.size(); }
  Backend& backend() const { return *node_->backend; }
  real* data() const { return node_->data; }

  /// The same storage under another shape of the same size.
  Tensor reshape(const Shape& shape) const;

  /// The values as an operand of matrix products, which share what they make of them for as long as
  /// the values live; but not those of a parameter in its block, which change.
  Operand operand() const { return {data(), rounded_copy()}; }
  /// Where their copy is kept, for the kernel that makes them. Null where there can be none.
  RoundedCopy* rounded_copy() const { return node_->block ? nullptr : &node_->rounded; }

  /// Whether gradients flow here: a parameter, or an op's output that depends on one.
  bool differentiable() const { return node_->differentiable; }
  /// Marks a leaf (a parameter, or an input under study) as differentiable, or no longer so.
  const Tensor& track(bool differentiable = true) const;
  /// Whether backward has brought (or somebody has asked for) a gradient.
  bool has_grad() const { return node_->grad != nullptr; }
  /// The gradient, zero when first asked for; null if nothing is to flow here.
  real* grad() const;
  /// The gradient for who can make the first share of it. Null as grad().
  GradientSum grad_sum() const;
  /// Adds this tensor's gradient, which nobody needs afterwards, to that of `other`, of as many
  /// elements: hands the memory over if the other has none.
  void release_grad_to(const Tensor& other) const;

  /// Copies to host memory.
  std::vector<real> to_vector() const;
  std::vector<real> grad_to_vector() const;
  /// The value of a tensor of one element.
  real item() const;

  /// Moves values and gradient into elements [offset, offset + size()) of `block`, which from now
  /// on is the storage of every handle of this tensor.
  void move_into(const Tensor& block, int64_t offset) const;

 private:
  struct Node {
    Backend* backend;
    Buffer values, gradients;
    RoundedCopy rounded;
    real* data = nullptr;
    real* grad = nullptr;
    bool differentiable = false;
    std::shared_ptr<Node> block;  // owner of the memory after move_into
  };

  Shape shape_;
  std::shared_ptr<Node> node_;
};

/// Token ids (or other small integers) in a backend's memory; immutable.
class Ids {
 public:
  Ids() = default;
  Ids(std::span<const int32_t> ids, Backend& backend);
  int64_t size() const { return size_; }
  /// Null if default-constructed.
  const int32_t* data() const { return buffer_ ? static_cast<int32_t*>(buffer_->data()) : nullptr; }

 private:
  int64_t size_ = 0;
  std::shared_ptr<Buffer> buffer_;
};

}  // namespace farsight
