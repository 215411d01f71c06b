// Sinusoidal positions (Vaswani et al. 2017): p_m[2i] = sin(m / 10000^(2i/C)), p_m[2i+1] the cosine
// of the same angle, added to sqrt(C) times the token embeddings.
#include <cmath>

#include "nn/position.h"

namespace farsight {
namespace {

class Sinusoidal : public PositionScheme {
 public:
  explicit Sinusoidal(const PositionConfig& config)
      : width_(config.width), backend_(*config.backend) {}

  real embedding_scale() const override { return std::sqrt(static_cast<real>(width_)); }

  Tensor embed(const Positions& positions) override {
    if (positions != positions_) {
      std::vector<real> table;
      table.reserve(positions.count() * width_);
      for (int64_t m = positions.begin; m < positions.end; ++m) {
        for (int64_t c = 0; c < width_; ++c) {
          const double angle = m * std::pow(10000.0, -static_cast<double>(c / 2 * 2) / width_);
          table.push_back(static_cast<real>(c % 2 ? std::cos(angle) : std::sin(angle)));
        }
      }
      table_ = Tensor::from({positions.count(), width_}, table, backend_);
      positions_ = positions;
    }
    return table_;
  }

 private:
  const int64_t width_;
  Backend& backend_;
  Positions positions_{0, 0};
  Tensor table_;  // (count, C) for positions_, asked for last
};

const PositionEntry entry("sinusoidal", "fixed sines and cosines added to the embeddings",
                          make_scheme<Sinusoidal>);

}  // namespace
}  // namespace farsight
