// Log-n scaling (Su 2021; Chiang & Cholak 2022): a query that sees n tokens is multiplied by
// ln n / ln L_train where that is more than 1, so that attention over more keys stays as sharp.
#include <algorithm>
#include <cmath>

#include "nn/extension.h"

namespace farsight {
namespace {

class LogN : public Extension {
 public:
  using Extension::Extension;
  double query_scale(int64_t position) const override {
    const auto trained = static_cast<double>(std::max<int64_t>(config_.trained, 2));
    return std::max(1.0, std::log(static_cast<double>(position + 1)) / std::log(trained));
  }
};

const ExtensionEntry entry("log_n", "queries scaled by the logarithm of what they see",
                           Acts::kScores, make_extension<LogN>);

}  // namespace
}  // namespace farsight
