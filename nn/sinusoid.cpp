// Sinusoidal embeddings: see sinusoid.h.
#include "nn/sinusoid.h"

#include <cmath>

namespace farsight {
namespace {

/// The embeddings of all places: (places, width).
std::vector<real> sinusoids(const std::vector<double>& places, int64_t width) {
  std::vector<double> frequencies(width);
  for (int64_t c = 0; c < width; ++c)
    frequencies[c] = std::pow(10000.0, -static_cast<double>(c / 2 * 2) / width);
  const int64_t rows = places.size();
  std::vector<real> result(rows * width);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < width; ++c) {
      const double angle = places[row] * frequencies[c];
      result[row * width + c] = static_cast<real>(c % 2 ? std::cos(angle) : std::sin(angle));
    }
  }
  return result;
}

}  // namespace

real SinusoidalScheme::embedding_scale() const { return std::sqrt(static_cast<real>(width_)); }

std::vector<double> SinusoidalScheme::places(const Stream&, uint64_t, int64_t) const { return {}; }

Tensor SinusoidalScheme::embed(const Positions& positions) {
  std::vector<double> all;
  if (positions.training) {
    for (int64_t b = 0; b < positions.sequences; ++b) {
      const std::vector<double> some = places(*positions.training, b, positions.count());
      all.insert(all.end(), some.begin(), some.end());
    }
    if (!all.empty())
      return Tensor::from({positions.sequences, positions.count(), width_}, sinusoids(all, width_),
                          backend_);
  }
  return table_.get(positions, [&] {
    for (int64_t m = positions.begin; m < positions.end; ++m)
      all.push_back(static_cast<double>(m) * positions.scale());
    return Tensor::from({positions.count(), width_}, sinusoids(all, width_), backend_);
  });
}

}  // namespace farsight
