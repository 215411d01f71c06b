// Sandwich whose strength each head learns: bias_h(d) = c_h S(d), S as in sandwich.cpp, c_h =
// e^parameter trained from Sandwich's H / (8 h). A head can become as flat or as steep as its task
// asks, which the fixed factors allow within a factor of H only.
#include <cmath>

#include "core/error.h"
#include "core/ops.h"
#include "nn/position.h"

namespace farsight {
namespace {

class SandwichLearned : public PositionScheme {
 public:
  explicit SandwichLearned(const PositionConfig& config)
      : dbar_(even(config.option("sandwich_learned-dbar"))),
        log_factor_(add_parameter("log_factor", {config.heads, 1}, fixed_factor(config.heads),
                                  Decay::kNo, *config.backend)) {}

  bool has(Acts acts) const override { return acts != Acts::kRotation; }

  Bias bias(const Positions& queries) override {
    const Tensor sums =
        by_distance(queries, log_factor_.backend(), [&](double d) { return sum(d); });
    return {linear(exp(log_factor_), sums)};
  }

 private:
  static int even(double dbar) {
    check(dbar >= 2 && dbar <= 65536 && std::fmod(dbar, 2) == 0,
          "sandwich_learned-dbar must be an even number from 2 to 65536, not ", dbar);
    return static_cast<int>(dbar);
  }

  /// S(d).
  double sum(double distance) const {
    double total = 0;
    for (int i = 0; i < dbar_ / 2; ++i)
      total += std::cos(distance * std::pow(10000.0, -2.0 * i / dbar_));
    return total;
  }

  /// Starts e^parameter of head h = index + 1 at H / (8 h).
  static Init fixed_factor(int64_t heads) {
    return [=](const Stream&, int64_t index) {
      return std::log(static_cast<double>(heads) / (8.0 * (index + 1)));
    };
  }

  const int dbar_;
  const Tensor log_factor_;  // (H, 1)
};

const PositionEntry entry("sandwich_learned", "sandwich with a trained factor for each head",
                          make_scheme<SandwichLearned>,
                          {{"sandwich_learned-dbar", 128, "width of the sinusoidal embeddings"}});

}  // namespace
}  // namespace farsight
