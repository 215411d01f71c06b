// KERPLE, power (Chi et al. 2022): bias = -r1 d^r2, r1 > 0 and 0 < r2 <= 2 trained per head and
// shared by all layers. Parameters are ln r1 and the logit of r2 / 2, so that both stay in range.
//
// d^r2 = e^(r2 ln d); at d = 0, where the logarithm has no value and the bias is 0 whatever r1 and
// r2 are, the factor of r1 is 0 and ln d stands at 0, so that no gradient flows from there.
#include <cmath>

#include "core/ops.h"
#include "nn/position.h"

namespace farsight {
namespace {

class KerplePower : public PositionScheme {
 public:
  explicit KerplePower(const PositionConfig& config)
      : log_r1_(add_parameter("log_r1", {config.heads, 1}, uniform(-2.5, -0.5), Decay::kNo,
                              *config.backend)),
        logit_r2_(add_parameter("logit_r2", {config.heads, 1}, uniform(-2, 0), Decay::kNo,
                                *config.backend)) {}

  bool has(Acts acts) const override { return acts != Acts::kRotation; }

  Bias bias(const Positions& queries) override {
    Backend& backend = log_r1_.backend();
    const Tensor log_distance =
        by_distance(queries, backend, [](double d) { return d ? 2 * std::log(d) : 0; });
    const Tensor sign = by_distance(queries, backend, [](double d) { return d ? -1 : 0; });
    return {multiply(linear(exp(log_r1_), sign), exp(linear(sigmoid(logit_r2_), log_distance)))};
  }

 private:
  const Tensor log_r1_, logit_r2_;  // (H, 1)
};

const PositionEntry entry("kerple_power", "a trained power of the distance as penalty",
                          make_scheme<KerplePower>);

}  // namespace
}  // namespace farsight
