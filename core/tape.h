// Reverse-mode automatic differentiation. While a Tape is alive, ops record how to send a gradient
// back; backward() walks the record in reverse and frees it as it goes.
//
//   Tape tape;
//   Tensor loss = …;       // ops on tensors, some of them track()ed
//   tape.backward(loss);   // every track()ed tensor's grad() has grown by d loss / d tensor
//
// Gradients add up until somebody clears them; those of what lies between are handed on as it goes.
// There is no switch to turn recording off: where no tape is alive, nothing is recorded.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/profile.h"
#include "core/tensor.h"

namespace farsight {

class Op;

class Tape {
 public:
  /// Starts recording. Throws if another tape is recording on this thread.
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The tape that records now, or null.
  static Tape* current();

  /// While it lives, no tape records.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Tape* const paused_;
  };

  /// Sends d loss / d loss = 1 back. `loss` has one element and came out of a recorded op.
  void backward(const Tensor& loss);

  /// Sends `covector`, of y's shape, back from y: the vector-Jacobian product.
  void backward(const Tensor& y, const Tensor& covector);

  /// Sends back what gradients there are.
  void propagate();

  void push(const Op& op, std::vector<Tensor> inputs, const Tensor& y,
            std::function<void()> backward);

 private:
  struct Step {
    const Op* op;
    std::vector<Tensor> inputs;
    Tensor y;
    std::function<void()> backward;
  };
  std::vector<Step> steps_;
};

/// A differentiable operation. One object per op at namespace scope registers its name; the checks
/// in tests/ demand a case for each.
class Op {
 public:
  /// An op that looks up rows reads no more of an input than its result has.
  explicit Op(std::string name, bool looks_up = false);

  const std::string& name() const { return name_; }

  /// Bytes of the result and the inputs, or of the result's gradient, the inputs and theirs.
  double bytes(const std::vector<Tensor>& inputs, const Tensor& y, Profile::Pass pass) const;

  /// The names of all ops, in order of the alphabet.
  static std::vector<std::string> names();

  /// Records `backward`, which adds to the inputs' gradients what y's gradient implies, unless no
  /// tape is alive or no input is differentiable. Undefined inputs are passed over.
  template <class Backward>
  void record(std::initializer_list<Tensor> inputs, const Tensor& y, Backward&& backward) const {
    if (Profile::active())
      Profile::lap(name_, Profile::Pass::kForward, bytes(inputs, y, Profile::Pass::kForward));
    Tape* const tape = Tape::current();
    if (!tape) return;
    std::vector<Tensor> used;
    bool differentiable = false;
    for (const Tensor& input : inputs) {
      if (!input.defined()) continue;
      differentiable = differentiable || input.differentiable();
      used.push_back(input);
    }
    if (differentiable) tape->push(*this, std::move(used), y, std::forward<Backward>(backward));
  }

  /// Throws unless the condition holds; the message opens with the op's name.
  template <class... Parts>
  void require(bool condition, const Parts&... parts) const {
    check(condition, "[", name_, "] ", parts...);
  }

 private:
  std::string name_;
  bool looks_up_;
};

}  // namespace farsight
