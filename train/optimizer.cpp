// AdamW and its schedule: see optimizer.h.
#include "train/optimizer.h"

#include <cmath>
#include <numbers>

namespace farsight {

double learning_rate(const Config& config, int64_t step) {
  if (step < config.warmup) return config.rate * (step + 1) / config.warmup;
  const double span = std::max<int64_t>(1, config.steps - config.warmup);
  const double progress = std::min(1.0, (step - config.warmup) / span);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return config.rate * (config.final_rate + (1 - config.final_rate) * cosine);
}

AdamW::AdamW(const ParameterBlock& parameters)
    : parameters_(parameters),
      first_(Tensor::full({parameters.size()}, 0, parameters.values().backend())),
      second_(Tensor::full({parameters.size()}, 0, parameters.values().backend())) {}

void AdamW::update(const Config& config, int64_t step, real* norm_squared) {
  const Tensor& values = parameters_.values();
  Backend& backend = values.backend();
  backend.sum_squares(norm_squared, values.grad(), values.size());

  AdamWStep constants{};
  constants.rate = static_cast<real>(learning_rate(config, step));
  constants.beta1 = static_cast<real>(config.beta1);
  constants.beta2 = static_cast<real>(config.beta2);
  constants.epsilon = static_cast<real>(config.epsilon);
  constants.correction1 = static_cast<real>(1 - std::pow(config.beta1, step + 1));
  constants.correction2 = static_cast<real>(1 - std::pow(config.beta2, step + 1));
  constants.max_norm = static_cast<real>(config.clip);

  const auto update_range = [&](int64_t begin, int64_t end, double decay) {
    constants.decay = static_cast<real>(decay);
    backend.adamw(values.data() + begin, first_.data() + begin, second_.data() + begin,
                  values.grad() + begin, norm_squared, end - begin, constants);
  };
  update_range(0, parameters_.decayed(), config.decay);
  update_range(parameters_.decayed(), parameters_.size(), 0);
}

}  // namespace farsight
