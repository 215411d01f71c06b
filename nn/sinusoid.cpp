// Sinusoidal embeddings: see sinusoid.h.
#include "nn/sinusoid.h"

#include <cmath>

namespace farsight {
namespace {

void append_sinusoid(std::vector<real>& to, double place, int64_t width) {
  for (int64_t c = 0; c < width; ++c) {
    const double angle = place * std::pow(10000.0, -static_cast<double>(c / 2 * 2) / width);
    to.push_back(static_cast<real>(c % 2 ? std::cos(angle) : std::sin(angle)));
  }
}

}  // namespace

real SinusoidalScheme::embedding_scale() const { return std::sqrt(static_cast<real>(width_)); }

std::vector<double> SinusoidalScheme::places(const Stream&, uint64_t, int64_t) const { return {}; }

Tensor SinusoidalScheme::embed(const Positions& positions) {
  std::vector<real> rows;
  if (positions.training) {
    for (int64_t b = 0; b < positions.sequences; ++b)
      for (const double place : places(*positions.training, b, positions.count()))
        append_sinusoid(rows, place, width_);
    if (!rows.empty())
      return Tensor::from({positions.sequences, positions.count(), width_}, rows, backend_);
  }
  return table_.get(positions, [&] {
    for (int64_t m = positions.begin; m < positions.end; ++m)
      append_sinusoid(rows, static_cast<double>(m) * positions.scale(), width_);
    return Tensor::from({positions.count(), width_}, rows, backend_);
  });
}

}  // namespace farsight
