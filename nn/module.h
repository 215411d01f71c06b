// Modules own parameters and smaller modules; a parameter is known by its dotted path, such as
// blocks.0.attention.query.weight, in checkpoints and messages.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"

namespace farsight {

/// A parameter's initial value by index, drawn from the parameter's own stream.
using Init = std::function<double(const Stream& stream, int64_t index)>;

Init constant(double value);
/// Normal with mean 0.
Init normal(double deviation);
/// Uniform in [low, high).
Init uniform(double low, double high);

/// Whether AdamW's weight decay acts on a parameter: on the matrices of the network, and not on
/// gains, shifts and the few numbers of a positional scheme.
enum class Decay { kNo, kYes };

struct Parameter {
  std::string name;
  Tensor tensor;
  Decay decay;
  Init init;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;  // parents hold pointers to their children
  Module& operator=(const Module&) = delete;

  /// Own parameters, then the children's, in order of creation, by dotted name.
  std::vector<Parameter> parameters() const;

  /// Sets every parameter's values; each draws from a stream of its own that follows from its name,
  /// so that models which share a parameter start with the same values there. `path` stands before
  /// the names: a part of a model, on its own, starts as inside the model at "part.".
  void initialize(uint64_t seed, const std::string& path = "");

 protected:
  /// Creates a tracked parameter whose values are undefined until initialize().
  Tensor add_parameter(const std::string& name, const Shape& shape, Init init, Decay decay,
                       Backend& backend);

  /// Makes a member's parameters part of this module's.
  void add_child(const std::string& name, Module& child);

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
};

/// Moves all parameters of a module into one block of memory, and their gradients into another, so
/// that clearing, the norm and the optimizer are one call each. Parameters that decay come first.
class ParameterBlock {
 public:
  explicit ParameterBlock(const Module& module);

  /// (size): all values, with zeros between some; grad() all gradients.
  const Tensor& values() const { return values_; }
  int64_t size() const { return values_.size(); }
  /// How many of them are parameters.
  int64_t count() const { return count_; }
  /// Elements [0, decayed()) are subject to weight decay.
  int64_t decayed() const { return decayed_; }

  struct Entry {
    Parameter parameter;
    int64_t offset;  // of its first element in the block
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  Tensor values_;
  int64_t count_ = 0, decayed_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace farsight
