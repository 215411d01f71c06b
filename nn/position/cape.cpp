// CAPE (Likhomanenko et al. 2021): sinusoidal positions that are, in training, shifted as a whole
// by up to cape-shift tokens, each by up to half a token on its own, and scaled by up to
// cape-scale:
//   place_m = λ (m + Δ + ε_m),  Δ ~ U(±shift), ε_m ~ U(±1/2), ln λ ~ U(±ln scale).
#include <cmath>

#include "core/error.h"
#include "nn/sinusoid.h"

namespace farsight {
namespace {

class Cape : public SinusoidalScheme {
 public:
  explicit Cape(const PositionConfig& config)
      : SinusoidalScheme(config),
        shift_(config.option("cape-shift")),
        scale_(config.option("cape-scale")) {
    check(shift_ >= 0 && shift_ <= 1e6, "cape-shift must be 0 to 1000000, not ", shift_);
    check(scale_ >= 1 && scale_ <= 1e3, "cape-scale must be 1 to 1000, not ", scale_);
  }

 private:
  std::vector<double> places(const Stream& stream, uint64_t b, int64_t count) const override {
    uint64_t next = numbers_of(b);
    const auto within = [&](double bound) { return bound * (2 * stream.uniform(next++) - 1); };
    const double shift = within(shift_), scale = std::exp(within(std::log(scale_)));
    std::vector<double> places(count);
    for (int64_t m = 0; m < count; ++m) places[m] = scale * (m + shift + within(0.5));
    return places;
  }

  const double shift_, scale_;
};

const PositionEntry entry("cape", "sinusoidal positions, shifted, scaled and jittered in training",
                          make_scheme<Cape>,
                          {{"cape-shift", 50, "largest shift in tokens, either way"},
                           {"cape-scale", 1.4, "largest factor, and 1 over it the smallest"}});

}  // namespace
}  // namespace farsight
