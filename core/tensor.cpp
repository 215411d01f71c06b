// Tensor storage: see tensor.h.
#include "core/tensor.h"

#include <utility>

#include "core/error.h"

namespace farsight {

Tensor::Tensor(const Shape& shape, Backend& backend)
    : shape_(shape), node_(std::make_shared<Node>()) {
  node_->backend = &backend;
  node_->values = Buffer(shape.size() * sizeof(real), backend);
  node_->data = static_cast<real*>(node_->values.data());
}

Tensor Tensor::full(const Shape& shape, real value, Backend& backend) {
  Tensor tensor(shape, backend);
  backend.fill(tensor.data(), value, tensor.size());
  return tensor;
}

Tensor Tensor::from(const Shape& shape, std::span<const real> values, Backend& backend) {
  check(static_cast<int64_t>(values.size()) == shape.size(), "a tensor of shape ", shape, " needs ",
        shape.size(), " values, not ", values.size());
  Tensor tensor(shape, backend);
  backend.upload(tensor.data(), values.data(), values.size_bytes());
  return tensor;
}

Tensor Tensor::reshape(const Shape& shape) const {
  check(shape.size() == size(), "[reshape] ", shape_, " does not fit into ", shape);
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

const Tensor& Tensor::track(bool differentiable) const {
  node_->differentiable = differentiable;
  return *this;
}

GradientSum Tensor::grad_sum() const {
  if (!node_->differentiable) return {};
  if (node_->grad) return {node_->grad, 1};
  node_->gradients = Buffer(size() * sizeof(real), backend());
  node_->grad = static_cast<real*>(node_->gradients.data());
  return {node_->grad, 0};
}

real* Tensor::grad() const {
  const GradientSum sum = grad_sum();
  if (sum && sum.beta == 0) backend().fill(sum.to, 0, size());
  return sum.to;
}

void Tensor::release_grad_to(const Tensor& other) const {
  if (!other.differentiable()) return;
  // Memory within a parameter block cannot change hands.
  if (other.has_grad() || !node_->gradients) {
    backend().accumulate(other.grad(), node_->grad, 1, size());
    return;
  }
  other.node_->gradients = std::move(node_->gradients);
  other.node_->grad = std::exchange(node_->grad, nullptr);
}

std::vector<real> Tensor::to_vector() const {
  std::vector<real> values(size());
  backend().download(values.data(), data(), values.size() * sizeof(real));
  return values;
}

std::vector<real> Tensor::grad_to_vector() const {
  check(differentiable(), "this tensor takes no gradient; track() it before the forward pass");
  std::vector<real> values(size());
  backend().download(values.data(), grad(), values.size() * sizeof(real));
  return values;
}

real Tensor::item() const {
  check(size() == 1, "item() needs one element, not shape ", shape_);
  return to_vector()[0];
}

void Tensor::move_into(const Tensor& block, int64_t offset) const {
  check(offset >= 0 && offset + size() <= block.size(), "elements ", offset, " to ",
        offset + size(), " lie outside a block of ", block.size());
  real* const to = block.data() + offset;
  backend().copy(to, data(), size());
  if (block.differentiable()) {
    real* const grad_to = block.grad() + offset;
    if (has_grad()) backend().copy(grad_to, node_->grad, size());
    node_->grad = grad_to;
    node_->differentiable = true;
  }
  node_->data = to;
  node_->rounded = RoundedCopy();
  node_->values = Buffer();
  node_->gradients = Buffer();
  node_->block = block.node_;
}

Ids::Ids(std::span<const int32_t> ids, Backend& backend)
    : size_(ids.size()), buffer_(std::make_shared<Buffer>(ids.size_bytes(), backend)) {
  backend.upload(buffer_->data(), ids.data(), ids.size_bytes());
}

}  // namespace farsight
