// T5's relative bias (Raffel et al. 2020): a trained number per head and bucket of distances, one
// table for all layers. Distances below 16 have a bucket each; from there to 128, bucket
// 16 + floor(16 ln(d / 16) / ln 8), and 31 beyond.
#include "core/ops.h"
#include "nn/position.h"

namespace farsight {
namespace {

constexpr int kBuckets = 32;

/// The first distance of buckets 16 … 31. Kept as integers, since rounding in a logarithm would
/// move the boundaries.
constexpr int kFirstDistance[] = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};

int bucket(int64_t distance) {
  if (distance < kFirstDistance[0]) return static_cast<int>(distance);
  int b = kBuckets - 1;
  while (distance < kFirstDistance[b - 16]) --b;
  return b;
}

class T5 : public PositionScheme {
 public:
  explicit T5(const PositionConfig& config)
      : table_(add_parameter("weight", {config.heads, kBuckets}, normal(0.02), Decay::kNo,
                             *config.backend)) {}

  bool has(Acts acts) const override { return acts != Acts::kRotation; }

  Bias bias(const Positions& queries) override {
    const int64_t length = queries.end;
    // Rows are picked by a product with one-hot rows: (H, 32) (T, 32)ᵀ.
    const Tensor& picks = picks_.get(queries, [&] {
      std::vector<real> one_hot(length * kBuckets, 0);
      for (int64_t c = 0; c < length; ++c) {
        const double distance = static_cast<double>(length - 1 - c) * queries.scale();
        one_hot[c * kBuckets + bucket(static_cast<int64_t>(distance))] = 1;
      }
      return Tensor::from({length, kBuckets}, one_hot, table_.backend());
    });
    return {linear(table_, picks)};
  }

 private:
  const Tensor table_;   // (H, 32)
  PositionTable picks_;  // (T, 32)
};

const PositionEntry entry("t5", "a trained bias per head and bucket of distances", make_scheme<T5>);

}  // namespace
}  // namespace farsight
