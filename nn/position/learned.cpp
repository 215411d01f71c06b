// A trained vector per position, added to the token embeddings (GPT-2). Its table ends at the
// training length, and so does the model's reach.
#include <numeric>

#include "core/ops.h"
#include "nn/position.h"

namespace farsight {
namespace {

class Learned : public PositionScheme {
 public:
  explicit Learned(const PositionConfig& config)
      : length_(config.length),
        table_(add_parameter("weight", {config.length, config.width}, normal(0.02), Decay::kYes,
                             *config.backend)) {}

  int64_t reach() const override { return length_; }

  Tensor embed(const Positions& positions) override {
    std::vector<int32_t> rows(positions.count());
    std::iota(rows.begin(), rows.end(), static_cast<int32_t>(positions.begin));
    return embedding(table_, Ids(rows, table_.backend()));
  }

 private:
  const int64_t length_;
  const Tensor table_;  // (T, C)
};

const PositionEntry entry("learned", "a trained vector per position", make_scheme<Learned>);

}  // namespace
}  // namespace farsight
