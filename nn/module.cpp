// Parameters by name, their initial values and their common block: see module.h.
#include "nn/module.h"

#include "core/error.h"

namespace farsight {
namespace {

/// FNV-1a, 64 bits.
uint64_t hash(const std::string& text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const unsigned char c : text) value = (value ^ c) * 0x100000001b3u;
  return value;
}

}  // namespace

Init constant(double value) {
  return [=](const Stream&, int64_t) { return value; };
}

Init normal(double deviation) {
  return [=](const Stream& stream, int64_t index) { return deviation * stream.normal(index); };
}

Init uniform(double low, double high) {
  return [=](const Stream& stream, int64_t index) {
    return low + (high - low) * stream.uniform(index);
  };
}

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> all = parameters_;
  for (const auto& [name, child] : children_) {
    for (Parameter parameter : child->parameters()) {
      parameter.name = name + "." + parameter.name;
      all.push_back(std::move(parameter));
    }
  }
  return all;
}

void Module::initialize(uint64_t seed, const std::string& path) {
  for (const Parameter& parameter : parameters()) {
    const Stream stream{seed, hash(path + parameter.name)};
    std::vector<real> values(parameter.tensor.size());
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<real>(parameter.init(stream, i));
    parameter.tensor.backend().upload(parameter.tensor.data(), values.data(),
                                      values.size() * sizeof(real));
  }
}

Tensor Module::add_parameter(const std::string& name, const Shape& shape, Init init, Decay decay,
                             Backend& backend) {
  Tensor tensor(shape, backend);
  tensor.track();
  parameters_.push_back({name, tensor, decay, std::move(init)});
  return tensor;
}

void Module::add_child(const std::string& name, Module& child) {
  children_.emplace_back(name, &child);
}

ParameterBlock::ParameterBlock(const Module& module) {
  constexpr int64_t kBoundary = 16;  // numbers, so that kernels find each parameter aligned
  const std::vector<Parameter> parameters = module.parameters();
  check(!parameters.empty(), "this module has no parameters");
  int64_t size = 0;
  for (const Decay decay : {Decay::kYes, Decay::kNo}) {
    for (const Parameter& parameter : parameters) {
      if (parameter.decay != decay) continue;
      entries_.push_back({parameter, size});
      count_ += parameter.tensor.size();
      size += (parameter.tensor.size() + kBoundary - 1) / kBoundary * kBoundary;
    }
    if (decay == Decay::kYes) decayed_ = size;
  }
  values_ = Tensor::full({size}, 0, parameters[0].tensor.backend());
  values_.track();
  for (const Entry& entry : entries_) entry.parameter.tensor.move_into(values_, entry.offset);
  // The parameters' former places would never be asked for again.
  values_.backend().pool().trim();
}

}  // namespace farsight
