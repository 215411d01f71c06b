// ALiBi (Press et al. 2021): bias = -m_h d with fixed slopes m_h. For H a power of two the slopes
// are 2^(-8h/H); otherwise those of the largest power of two c below H, followed by every second
// slope (1st, 3rd, …) of 2c heads. Exponents can be shifted, or all heads be given one slope: the
// Sandwich paper's experiments on what makes the implicit window.
#include <bit>
#include <cmath>

#include "core/error.h"
#include "nn/position.h"

namespace farsight {
namespace {

class Alibi : public FixedBias {
 public:
  explicit Alibi(const PositionConfig& config)
      : FixedBias(config),
        shift_(config.option("alibi-shift")),
        slope_(config.option("alibi-slope")) {
    check(std::fabs(shift_) <= 64, "alibi-shift must be -64 to 64, not ", shift_);
    check(slope_ >= 0 && slope_ <= 1e6, "alibi-slope must be 0 to 1000000, not ", slope_);
    check(shift_ == 0 || slope_ == 0, "alibi-shift has no meaning beside alibi-slope; give one");
  }

 private:
  double factor(int64_t head) const override {
    if (slope_ > 0) return slope_;
    const auto c = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads_)));
    const double exponent = head <= c ? 8.0 * head / c : 8.0 * (2 * (head - c) - 1) / (2 * c);
    return std::exp2(-exponent - shift_);
  }

  double shape(double distance) const override { return -distance; }

  const double shift_, slope_;
};

const PositionEntry entry("alibi", "a linear penalty on distance", make_scheme<Alibi>,
                          {{"alibi-shift", 0, "added to the exponents: slopes 2^-(8h/H + shift)"},
                           {"alibi-slope", 0, "one slope for all heads; 0 = one for each"}});

}  // namespace
}  // namespace farsight
