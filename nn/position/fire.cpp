// FIRE (Li et al. 2023): a small network of the distance, relative to how far the query has come,
//   b_h(i, j) = MLP_h(x),  x = ln(1 + |c| d) / ln(1 + |c| max(|L|, i)),  d = i - j,
// 1 → 32 ReLU → H, one for all layers; c and L are trained from 0.1 and 512. It depends on i and
// not on d alone, so that its bias is a dense (H, Tq, Tk).
#include <algorithm>
#include <cmath>

#include "core/ops.h"
#include "core/tape.h"
#include "nn/position.h"

namespace farsight {
namespace {

constexpr int64_t kHidden = 32;

class Fire : public PositionScheme {
 public:
  explicit Fire(const PositionConfig& config)
      : heads_(config.heads),
        backend_(*config.backend),
        log_c_(add_parameter("log_c", {1, 1}, constant(std::log(0.1)), Decay::kNo, backend_)),
        log_l_(add_parameter("log_l", {1, 1}, constant(std::log(512)), Decay::kNo, backend_)),
        up_(add_parameter("up.weight", {kHidden, 1}, normal(1), Decay::kNo, backend_)),
        up_bias_(add_parameter("up.bias", {kHidden}, normal(1), Decay::kNo, backend_)),
        down_(add_parameter("down.weight", {heads_, kHidden}, normal(0.02), Decay::kNo, backend_)),
        down_bias_(add_parameter("down.bias", {heads_, 1}, constant(0), Decay::kNo, backend_)) {}

  bool has(Acts acts) const override { return acts != Acts::kRotation; }

  double bias_elements(const Positions& queries) const override {
    // In training the hidden layer before and after the ReLU, some 18 steps to it, the sum that is
    // the bias and its terms, and the gradients of most of these.
    const int64_t each = queries.training ? 4 * kHidden + 2 * 18 + 4 * heads_ : heads_;
    return static_cast<double>(each) * static_cast<double>(queries.count()) *
           static_cast<double>(queries.end);
  }

  Bias bias(const Positions& queries) override {
    const int64_t Tq = queries.count(), Tk = queries.end;
    const double shrink = queries.scale();
    if (Tape::current() && log_c_.differentiable()) {
      const Tensor& d = distances_.get(
          queries, [&] { return distances(queries.begin, queries.end, Tk, shrink); });
      const Tensor& i =
          places_.get(queries, [&] { return places(queries.begin, queries.end, Tk, shrink); });
      return {rows(d, i).reshape({heads_, Tq, Tk})};
    }
    // The hidden layer is 32 times as large as a head's bias: without a tape, some rows at a time.
    const Tensor all({heads_, Tq, Tk}, backend_);
    const int64_t step = std::max<int64_t>(1, (int64_t{1} << 16) / Tk);
    for (int64_t first = queries.begin; first < queries.end; first += step) {
      const int64_t count = std::min(step, queries.end - first);
      const Tensor some = rows(distances(first, first + count, Tk, shrink),
                               places(first, first + count, Tk, shrink));  // (H, count * Tk)
      for (int64_t h = 0; h < heads_; ++h)
        backend_.copy(all.data() + (h * Tq + first - queries.begin) * Tk,
                      some.data() + h * count * Tk, count * Tk);
    }
    return {all};
  }

 private:
  /// f(i, j) of queries begin … end - 1 and all keys: ((end - begin) * Tk, 1).
  template <class F>
  Tensor column(int64_t begin, int64_t end, int64_t Tk, const F& f) const {
    std::vector<real> values;
    values.reserve((end - begin) * Tk);
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < Tk; ++j) values.push_back(static_cast<real>(f(i, j)));
    return Tensor::from({(end - begin) * Tk, 1}, values, backend_);
  }
  Tensor distances(int64_t begin, int64_t end, int64_t Tk, double shrink) const {
    return column(begin, end, Tk, [=](int64_t i, int64_t j) {
      return shrink * static_cast<double>(i > j ? i - j : 0);
    });
  }
  Tensor places(int64_t begin, int64_t end, int64_t Tk, double shrink) const {
    return column(begin, end, Tk,
                  [=](int64_t i, int64_t) { return shrink * static_cast<double>(i); });
  }

  /// (H, n): the biases at distances d (n, 1) of queries at i (n, 1).
  Tensor rows(const Tensor& d, const Tensor& i) const {
    const Tensor ones = Tensor::full(d.shape(), 1, backend_);
    const Tensor c = exp(log_c_);
    // max(L, i) = i + relu(L - i), and 1 / y = e^(-ln y), ln y = log1p(y - 1).
    const Tensor farthest = add(i, relu(add(linear(ones, exp(log_l_)), scale(i, -1))));
    const Tensor bottom = log1p(linear(farthest, c));
    const Tensor inverse = exp(scale(log1p(add(bottom, scale(ones, -1))), -1));
    const Tensor x = multiply(log1p(linear(d, c)), inverse);
    const Tensor hidden = relu(linear(x, up_, up_bias_));
    return add(linear(down_, hidden), linear(down_bias_, ones));
  }

  const int64_t heads_;
  Backend& backend_;
  const Tensor log_c_, log_l_;     // (1, 1); c and L are positive by being powers of e
  const Tensor up_, up_bias_;      // (32, 1), (32)
  const Tensor down_, down_bias_;  // (H, 32), (H, 1)
  PositionTable distances_, places_;
};

const PositionEntry entry("fire", "a small network of the relative distance", make_scheme<Fire>);

}  // namespace
}  // namespace farsight
