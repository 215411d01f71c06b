// Tables of angles for rotate() in core/ops.h.
#pragma once

#include <cmath>

#include "nn/position.h"

namespace farsight {

/// (count, D / 2, 2): the cosine and sine of each pair's angle, times factor(pair, position). Pair
/// i turns by position * base^(-2i/D), or as the positions' extension has it.
template <class Factor>
Tensor rotation_table(const Positions& positions, int64_t head_width, double base, Backend& backend,
                      const Factor& factor) {
  const int64_t pairs = head_width / 2;
  std::vector<double> frequencies(pairs);
  for (int64_t pair = 0; pair < pairs; ++pair) {
    frequencies[pair] = std::pow(base, -2.0 * pair / head_width);
    if (positions.extension)
      frequencies[pair] =
          positions.extension->frequency(frequencies[pair], pair, pairs, positions.end);
  }
  std::vector<real> table;
  table.reserve(positions.count() * head_width);
  for (int64_t m = positions.begin; m < positions.end; ++m) {
    const double position = static_cast<double>(m) * positions.scale();
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const double angle = position * frequencies[pair], scale = factor(pair, position);
      table.push_back(static_cast<real>(scale * std::cos(angle)));
      table.push_back(static_cast<real>(scale * std::sin(angle)));
    }
  }
  return Tensor::from({positions.count(), pairs, 2}, table, backend);
}

}  // namespace farsight
