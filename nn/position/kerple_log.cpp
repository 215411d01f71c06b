// KERPLE, logarithmic (Chi et al. 2022): bias = -r1 ln(1 + r2 d), r1, r2 > 0 trained per head and
// shared by all layers. Their logarithms are the parameters, so that they stay positive.
#include <cmath>

#include "core/ops.h"
#include "nn/position.h"

namespace farsight {
namespace {

/// Starts e^parameter uniform in [low, high).
Init log_uniform_value(double low, double high) {
  return [=](const Stream& stream, int64_t index) {
    return std::log(low + (high - low) * stream.uniform(index));
  };
}

class KerpleLog : public PositionScheme {
 public:
  explicit KerpleLog(const PositionConfig& config)
      : log_r1_(add_parameter("log_r1", {config.heads, 1}, log_uniform_value(0.1, 2), Decay::kNo,
                              *config.backend)),
        log_r2_(add_parameter("log_r2", {config.heads, 1}, log_uniform_value(0.1, 1), Decay::kNo,
                              *config.backend)) {}

  bool has(Acts acts) const override { return acts != Acts::kRotation; }

  Bias bias(const Positions& queries) override {
    Backend& backend = log_r1_.backend();
    const Tensor distance = by_distance(queries, backend, [](double d) { return d; });
    const Tensor minus_one = by_distance(queries, backend, [](double) { return -1; });
    return {multiply(linear(exp(log_r1_), minus_one), log1p(linear(exp(log_r2_), distance)))};
  }

 private:
  const Tensor log_r1_, log_r2_;  // (H, 1)
};

const PositionEntry entry("kerple_log", "a trained logarithmic penalty on distance",
                          make_scheme<KerpleLog>);

}  // namespace
}  // namespace farsight
