// AdamW over a model's whole parameter block, and the learning rate's schedule.
#pragma once

#include "nn/module.h"
#include "train/config.h"

namespace farsight {

/// Learning rate of step 0, 1, …: linear warm-up, then a cosine that ends, after the
/// last step, at final_rate of the peak (Loshchilov & Hutter 2017).
double learning_rate(const Config& config, int64_t step);

/// What to do about a training run that blows up: the end of such an error's message.
inline constexpr const char* kCalmer =
    "; a smaller --rate, a longer --warmup or a smaller --clip may help";

class AdamW {
 public:
  explicit AdamW(const ParameterBlock& parameters);

  /// One update from the gradients in the block, which it clears. `step` counts from 0. Leaves the
  /// square of the gradient's norm before clipping, on the device, in norm_squared[0]; if that is
  /// not finite, the parameters stay as they are.
  void update(const Config& config, int64_t step, real* norm_squared);

  /// (size) each, in the block's order.
  const Tensor& first_moment() const { return first_; }
  const Tensor& second_moment() const { return second_; }

 private:
  const ParameterBlock& parameters_;
  Tensor first_, second_;
};

}  // namespace farsight
