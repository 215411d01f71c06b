// Sandwich (Chi et al. 2022, arXiv 2212.10356): the inner product of two sinusoidal embeddings,
// with the cross terms of sinusoidal attention dropped,
//   bias_h(d) = H / (8 h) * S(d),   S(d) = sum_{i=0}^{Dbar/2 - 1} cos(d / 10000^(2i/Dbar)).
// It falls off like a logarithm of the distance, and the compression ratio 8h/H divides. Two
// options leave the paper: another factor F for the first head in place of H/8, and factors F
// r^(h-1) in place of F/h, which spread the heads from steep to nearly flat as ALiBi's slopes do.
#include <cmath>

#include "core/error.h"
#include "nn/position.h"

namespace farsight {
namespace {

class Sandwich : public FixedBias {
 public:
  explicit Sandwich(const PositionConfig& config)
      : FixedBias(config),
        dbar_(even(config.option("sandwich-dbar"))),
        first_(config.option("sandwich-factor")),
        ratio_(config.option("sandwich-ratio")) {
    check(first_ >= 0 && first_ <= 1000, "sandwich-factor must be 0 to 1000, not ", first_);
    check(ratio_ >= 0 && ratio_ <= 1, "sandwich-ratio must be 0 to 1, not ", ratio_);
  }

 private:
  static int even(double dbar) {
    check(dbar >= 2 && dbar <= 65536 && std::fmod(dbar, 2) == 0,
          "sandwich-dbar must be an even number from 2 to 65536, not ", dbar);
    return static_cast<int>(dbar);
  }

  double factor(int64_t head) const override {
    const double first = first_ > 0 ? first_ : static_cast<double>(heads_) / 8;
    return ratio_ > 0 ? first * std::pow(ratio_, head - 1) : first / head;
  }

  double shape(double distance) const override {
    double sum = 0;
    for (int i = 0; i < dbar_ / 2; ++i)
      sum += std::cos(distance * std::pow(10000.0, -2.0 * i / dbar_));
    return sum;
  }

  const int dbar_;
  const double first_;
  const double ratio_;
};

const PositionEntry entry("sandwich", "inner products of sinusoidal embeddings as a bias",
                          make_scheme<Sandwich>,
                          {{"sandwich-dbar", 128, "width of the sinusoidal embeddings"},
                           {"sandwich-factor", 0, "factor F of the first head; 0 = H/8"},
                           {"sandwich-ratio", 0,
                            "a head's factor over that of the one before; 0 = F/h"}});

}  // namespace
}  // namespace farsight
