// xPos (Sun et al. 2022): rotary positions whose pairs also shrink with distance. Pair i of a query
// at position m is scaled by z_i^(m/512), of a key at n by z_i^(-n/512), z_i = (2i/D + 0.4) / 1.4,
// so that their product carries z_i^((m-n)/512).
#include "core/error.h"
#include "core/ops.h"
#include "nn/position.h"
#include "nn/rotation.h"

namespace farsight {
namespace {

class Xpos : public PositionScheme {
 public:
  explicit Xpos(const PositionConfig& config)
      : head_width_(config.head_width()), backend_(*config.backend) {
    check(head_width_ % 2 == 0, "xpos needs an even head width, not ", head_width_);
  }

  bool has(Acts) const override { return true; }

  /// The smallest z is 0.4 / 1.4; its power for the last key must stay below float's 10^38.
  int64_t reach() const override { return 32768; }

  void rotate(Tensor& q, Tensor& k, const Positions& positions) override {
    q = farsight::rotate(q, scaled(query_table_, positions, 1), PairLayout::kInterleaved);
    k = farsight::rotate(k, scaled(key_table_, positions, -1), PairLayout::kInterleaved);
  }

 private:
  const Tensor& scaled(PositionTable& table, const Positions& positions, int sign) {
    return table.get(positions, [&] {
      return rotation_table(positions, head_width_, 10000, backend_,
                            [&](int64_t pair, double position) {
                              const double z = (2.0 * pair / head_width_ + 0.4) / 1.4;
                              return std::pow(z, sign * position / 512);
                            });
    });
  }

  const int64_t head_width_;
  Backend& backend_;
  PositionTable query_table_, key_table_;  // (count, D / 2, 2)
};

const PositionEntry entry("xpos", "rotary positions that fade with distance", make_scheme<Xpos>);

}  // namespace
}  // namespace farsight
