// A temperature of the softmax: scores, bias included, are divided by it. Below 1 it sharpens what
// more keys have blurred. Attention alignment (Chi et al. 2023) is a way to choose it.
#include "nn/extension.h"

namespace farsight {
namespace {

class Temperature : public Extension {
 public:
  using Extension::Extension;
  double score_scale() const override { return 1 / config_.temperature; }
};

const ExtensionEntry entry("temperature", "scores divided by a temperature", Acts::kScores,
                           make_extension<Temperature>);

}  // namespace
}  // namespace farsight
