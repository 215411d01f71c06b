// ALiBi (Press et al. 2021): bias = -m_h d with fixed slopes m_h. For H a power of two the slopes
// are 2^(-8h/H); otherwise those of the largest power of two c below H, followed by every second
// slope (1st, 3rd, …) of 2c heads.
#include <bit>
#include <cmath>

#include "nn/position.h"

namespace farsight {
namespace {

class Alibi : public FixedBias {
 public:
  using FixedBias::FixedBias;

 private:
  std::vector<double> values(int64_t head, int64_t length) const override {
    const auto c = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads_)));
    const double slope =
        head <= c ? std::exp2(-8.0 * head / c) : std::exp2(-8.0 * (2 * (head - c) - 1) / (2 * c));
    std::vector<double> row(length);
    for (int64_t d = 0; d < length; ++d) row[d] = 0 - slope * d;
    return row;
  }
};

const PositionEntry entry("alibi", "a linear penalty on distance", make_scheme<Alibi>);

}  // namespace
}  // namespace farsight
