// YaRN (Peng et al. 2023): with s = L / L_train, pairs that turn less than once within the training
// length have their frequency divided by s, pairs that turn more than 32 times keep it, and those
// between are mixed in proportion. Scores are multiplied by (0.1 ln s + 1)^2.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "nn/extension.h"

namespace farsight {
namespace {

class Yarn : public Extension {
 public:
  using Extension::Extension;

  double frequency(double frequency, int64_t, int64_t, int64_t) const override {
    constexpr double kFewest = 1, kMost = 32;
    const double turns = static_cast<double>(config_.trained) * frequency / (2 * std::numbers::pi);
    const double kept = std::clamp((turns - kFewest) / (kMost - kFewest), 0.0, 1.0);
    return frequency * (kept + (1 - kept) / config_.stretch());
  }

  double query_scale(int64_t) const override {
    const double root = 0.1 * std::log(config_.stretch()) + 1;
    return root * root;
  }
};

const ExtensionEntry entry("yarn", "rotations: slow pairs interpolated, fast ones kept",
                           Acts::kRotation, make_extension<Yarn>);

}  // namespace
}  // namespace farsight
