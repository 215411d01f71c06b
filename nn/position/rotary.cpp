// Rotary positions (RoPE, Su et al. 2021): pair i of a query or key at position m is turned by
// m * base^(-2i/D), so that scores depend on distance alone. A pair is (2i, 2i + 1), or
// (i, i + D/2) in the "rotate-half" layout that many published weights use.
#include "core/error.h"
#include "core/ops.h"
#include "nn/position.h"
#include "nn/rotation.h"

namespace farsight {
namespace {

class Rotary : public PositionScheme {
 public:
  explicit Rotary(const PositionConfig& config)
      : head_width_(config.head_width()),
        base_(config.option("rotary-base")),
        layout_(config.option("rotary-halves") != 0 ? PairLayout::kHalves
                                                    : PairLayout::kInterleaved),
        backend_(*config.backend) {
    check(head_width_ % 2 == 0, "rotary positions need an even head width, not ", head_width_);
    const double halves = config.option("rotary-halves");
    check(halves == 0 || halves == 1, "rotary-halves must be 0 or 1, not ", halves);
    check(base_ > 1, "rotary-base must be greater than 1, not ", base_);
  }

  bool has(Acts) const override { return true; }

  void rotate(Tensor& q, Tensor& k, const Positions& positions) override {
    const Tensor& angles = table_.get(positions, [&] {
      return rotation_table(positions, head_width_, base_, backend_,
                            [](int64_t, double) { return 1; });
    });
    q = farsight::rotate(q, angles, layout_);
    k = farsight::rotate(k, angles, layout_);
  }

 private:
  const int64_t head_width_;
  const double base_;
  const PairLayout layout_;
  Backend& backend_;
  PositionTable table_;  // (count, D / 2, 2)
};

const PositionEntry entry("rotary", "queries and keys turned by their positions",
                          make_scheme<Rotary>,
                          {{"rotary-base", 10000, "base of the rotation frequencies"},
                           {"rotary-halves", 0, "1 pairs (i, i + D/2), 0 pairs (2i, 2i + 1)"}});

}  // namespace
}  // namespace farsight
