// NTK-aware interpolation (bloc97 2023): the base of the rotations is multiplied by
// k^(D / (D - 2)), k = L / L_train, so that the slowest pair turns k times slower and the fastest
// stays as it is. Pair i of n = D / 2 then has its frequency divided by k^(i / (n - 1)).
// The dynamic form takes k from how far the text has come, and leaves short texts alone.
#include <algorithm>
#include <cmath>

#include "nn/extension.h"

namespace farsight {
namespace {

double slowed(double frequency, double k, int64_t pair, int64_t pairs) {
  if (pairs == 1) return frequency;
  return frequency * std::pow(k, -static_cast<double>(pair) / static_cast<double>(pairs - 1));
}

class Ntk : public Extension {
 public:
  using Extension::Extension;
  double frequency(double frequency, int64_t pair, int64_t pairs, int64_t) const override {
    return slowed(frequency, config_.stretch(), pair, pairs);
  }
};

class DynamicNtk : public Extension {
 public:
  using Extension::Extension;
  bool whole_texts_only() const override { return true; }
  double frequency(double frequency, int64_t pair, int64_t pairs, int64_t end) const override {
    const double k = static_cast<double>(end) / static_cast<double>(config_.trained);
    return slowed(frequency, std::max(1.0, k), pair, pairs);
  }
};

const ExtensionEntry ntk("ntk", "rotations: slow pairs slowed down, by the longest length",
                         Acts::kRotation, make_extension<Ntk>);
const ExtensionEntry dynamic("ntk_dynamic",
                             "rotations: slow pairs slowed down, by the length so far",
                             Acts::kRotation, make_extension<DynamicNtk>);

}  // namespace
}  // namespace farsight
