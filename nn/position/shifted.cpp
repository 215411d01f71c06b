// SHAPE (Kiyono et al. 2021): sinusoidal positions that start, in training, at a random place in
// 0 … shifted-most for each sequence, so that the model cannot lean on absolute positions.
#include <cmath>

#include "core/error.h"
#include "nn/sinusoid.h"

namespace farsight {
namespace {

class ShiftedPositions : public SinusoidalScheme {
 public:
  explicit ShiftedPositions(const PositionConfig& config)
      : SinusoidalScheme(config), largest_(config.option("shifted-most")) {
    check(largest_ >= 0 && largest_ <= 1e6 && std::fmod(largest_, 1) == 0,
          "shifted-most must be a whole number from 0 to 1000000, not ", largest_);
  }

 private:
  std::vector<double> places(const Stream& stream, uint64_t b, int64_t count) const override {
    const auto shift = stream.below(numbers_of(b), static_cast<uint64_t>(largest_) + 1);
    std::vector<double> places(count);
    for (int64_t m = 0; m < count; ++m) places[m] = static_cast<double>(shift) + m;
    return places;
  }

  const double largest_;
};

const PositionEntry entry("shifted", "SHAPE: sinusoidal positions, shifted at random in training",
                          make_scheme<ShiftedPositions>,
                          {{"shifted-most", 500, "largest shift in tokens"}});

}  // namespace
}  // namespace farsight
