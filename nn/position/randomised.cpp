// Randomised positions (Ruoss et al. 2023): in training a sequence of T tokens stands at a sorted
// random subset of 0 … randomised-reach - 1, so that every position of a longer text has been seen.
// In evaluation tokens stand at 0, 1, 2, …, where the paper draws positions at random there, too.
#include <cmath>

#include "core/error.h"
#include "nn/sinusoid.h"

namespace farsight {
namespace {

class Randomised : public SinusoidalScheme {
 public:
  explicit Randomised(const PositionConfig& config)
      : SinusoidalScheme(config), reach_(config.option("randomised-reach")) {
    check(reach_ >= config.length && reach_ <= (1 << 20) && std::fmod(reach_, 1) == 0,
          "randomised-reach must be a whole number from the training length, ", config.length,
          ", to ", 1 << 20, ", not ", reach_);
  }

 private:
  std::vector<double> places(const Stream& stream, uint64_t b, int64_t count) const override {
    // Each place in turn is taken with the probability that makes every subset equally likely.
    std::vector<double> places;
    for (int64_t place = 0; static_cast<int64_t>(places.size()) < count; ++place) {
      const double needed = static_cast<double>(count) - static_cast<double>(places.size());
      if (stream.uniform(numbers_of(b) + place) * (reach_ - place) < needed)
        places.push_back(static_cast<double>(place));
    }
    return places;
  }

  const double reach_;
};

const PositionEntry entry("randomised", "sinusoidal positions, a random subset in training",
                          make_scheme<Randomised>,
                          {{"randomised-reach", 2048, "positions seen in training"}});

}  // namespace
}  // namespace farsight
