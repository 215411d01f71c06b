// Linear interpolation (Chen et al. 2023; for ALiBi, Al-Khateeb et al. 2023): positions and
// distances are multiplied by L_train / L, so that none is larger than in training.
#include "nn/extension.h"

namespace farsight {
namespace {

class Linear : public Extension {
 public:
  using Extension::Extension;
  double position_scale() const override { return 1 / config_.stretch(); }
};

const ExtensionEntry entry("linear", "positions and distances shrunk to the training length",
                           Acts::kPositions, make_extension<Linear>);

}  // namespace
}  // namespace farsight
