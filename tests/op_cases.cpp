// Examples of every op: see op_cases.h. Shapes are small and awkward on purpose: odd sizes, sizes
// past one tile of attention, several chunks of the loss.
#include "tests/op_cases.h"

#include <cmath>

#include "core/attention.h"
#include "core/ops.h"

namespace farsight {
namespace {

/// Angles of T positions for heads of width D, with a factor, as extended rotations have.
Tensor rotation_table(int64_t T, int64_t D, Backend& backend) {
  std::vector<real> table;
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t pair = 0; pair < D / 2; ++pair) {
      table.push_back(static_cast<real>(1.1 * std::cos(0.3 * t + pair)));
      table.push_back(static_cast<real>(1.1 * std::sin(0.3 * t + pair)));
    }
  }
  return Tensor::from({T, D / 2, 2}, table, backend);
}

OpCase attention_case(const std::string& what, int64_t B, int64_t Tq, int64_t Tk, int64_t H,
                      int64_t D, const Shape& bias_shape, std::vector<int32_t> windows,
                      Backend& backend) {
  const Tensor q = random_tensor({B, Tq, H, D}, backend), k = random_tensor({B, Tk, H, D}, backend),
               v = random_tensor({B, Tk, H, D}, backend);
  std::vector<Tensor> inputs{q, k, v};
  Bias bias;
  if (bias_shape.rank() > 0) inputs.push_back(bias.values = random_tensor(bias_shape, backend));
  const Ids ids = windows.empty() ? Ids() : Ids(windows, backend);
  return {"attention", what, inputs, [=] { return attention(q, k, v, bias, ids); }};
}

}  // namespace

Tensor random_tensor(const Shape& shape, Backend& backend, bool tracked) {
  static uint64_t calls = 0;
  const Stream stream{7, ++calls};
  std::vector<real> values(shape.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<real>(stream.normal(i));
  Tensor tensor = Tensor::from(shape, values, backend);
  if (tracked) tensor.track();
  return tensor;
}

std::vector<OpCase> op_cases(Backend& backend) {
  const auto random = [&](const Shape& shape) { return random_tensor(shape, backend); };
  std::vector<OpCase> cases;
  const auto unary = [&](const std::string& op, const Tensor& x,
                         const std::function<Tensor(const Tensor&)>& f) {
    cases.push_back({op, "", {x}, [=] { return f(x); }});
  };
  const auto binary = [&](const std::string& op, const std::string& what, const Tensor& a,
                          const Tensor& b,
                          const std::function<Tensor(const Tensor&, const Tensor&)>& f) {
    cases.push_back({op, what, {a, b}, [=] { return f(a, b); }});
  };

  binary("add", "", random({3, 5}), random({3, 5}), add);
  const Tensor same = random({7});
  binary("add", "an input twice", same, same, add);
  binary("multiply", "", random({3, 5}), random({3, 5}), multiply);
  binary("multiply", "an input twice", same, same, multiply);
  unary("scale", random({11}), [](const Tensor& x) { return scale(x, real(-1.7)); });
  unary("sum", random({2, 3, 4}), [](const Tensor& x) { return sum(x); });
  unary("gelu", random({37}), gelu);
  unary("gelu_tanh", random({37}), gelu_tanh);
  unary("relu", random({37}), relu);
  unary("exp", random({19}), [](const Tensor& x) { return exp(x); });
  unary("sigmoid", random({19}), sigmoid);
  // log1p needs arguments above -1.
  std::vector<real> positive;
  for (int i = 0; i < 9; ++i) positive.push_back(static_cast<real>(0.3 * i * i));
  unary("log1p", Tensor::from({9}, positive, backend).track(),
        [](const Tensor& x) { return log1p(x); });

  binary("linear", "without a bias", random({2, 3, 5}), random({4, 5}),
         [](const Tensor& x, const Tensor& w) { return linear(x, w); });
  binary("linear", "outer product", random({4, 1}), random({6, 1}),
         [](const Tensor& x, const Tensor& w) { return linear(x, w); });
  const Tensor x = random({6, 5}), w = random({4, 5}), b = random({4});
  cases.push_back({"linear", "with a bias", {x, w, b}, [=] { return linear(x, w, b); }});
  for (const bool tanh : {false, true})
    cases.push_back(
        {"linear", tanh ? "with a bias and GELU by tanh" : "with a bias and GELU", {x, w, b}, [=] {
           return gelu_of_linear(x, w, b, tanh);
         }});
  const Tensor stream = random({6, 4}), square = random({5, 5});
  cases.push_back({"linear", "with a bias and a residual", {x, w, b, stream}, [=] {
                     return linear(x, w, b, stream);
                   }});
  // The residual's gradient is the result's, handed over or added to what is there.
  cases.push_back(
      {"linear", "its input the residual", {x, square}, [=] { return linear(x, square, {}, x); }});

  cases.push_back({"recompute", "", {x, w, b}, [=] {
                     return recompute([=] { return gelu(linear(x, w, b)); });
                   }});

  const Tensor rows = random({5, 9}), gain = random({9}), shift = random({9});
  cases.push_back(
      {"layer_norm", "", {rows, gain, shift}, [=] { return layer_norm(rows, gain, shift); }});

  const Ids ids(std::vector<int32_t>{3, 0, 3, 6}, backend);
  unary("embedding", random({7, 5}), [=](const Tensor& table) { return embedding(table, ids); });
  binary("add_to_each", "", random({3, 4, 5}), random({4, 5}), add_to_each);
  unary("dropout", random({50}), [](const Tensor& x) { return dropout(x, real(0.3), {5, 6}); });

  for (const PairLayout layout : {PairLayout::kInterleaved, PairLayout::kHalves}) {
    const Tensor table = rotation_table(3, 6, backend);
    unary("rotate", random({2, 3, 2, 6}),
          [=](const Tensor& x) { return rotate(x, table, layout); });
  }

  const Ids targets(std::vector<int32_t>{4, 0, 6, 4, 1}, backend);
  for (const int64_t chunk : {int64_t{0}, int64_t{14}})
    binary("cross_entropy", chunk == 0 ? "one chunk" : "three chunks", random({5, 3}),
           random({7, 3}), [=](const Tensor& x, const Tensor& weight) {
             return cross_entropy(x, weight, targets, nullptr, chunk);
           });

  cases.push_back(attention_case("no bias", 2, 5, 5, 2, 4, {}, {}, backend));
  cases.push_back(attention_case("relative bias", 2, 6, 6, 3, 2, {3, 6}, {}, backend));
  cases.push_back(attention_case("dense bias", 2, 5, 5, 2, 2, {2, 5, 5}, {}, backend));
  cases.push_back(attention_case("windows", 1, 9, 9, 3, 2, {}, {1, 4, 0}, backend));
  cases.push_back(attention_case("queries after a cache", 2, 3, 8, 2, 2, {2, 8}, {5, 0}, backend));
  cases.push_back(
      attention_case("a bias that reaches farther", 2, 3, 5, 2, 2, {2, 7}, {}, backend));
  cases.push_back(
      attention_case("dense bias after a cache", 2, 3, 5, 2, 2, {2, 3, 5}, {}, backend));
  cases.push_back(attention_case("several tiles", 1, 131, 131, 1, 2, {1, 131}, {}, backend));
  cases.push_back(
      attention_case("several tiles, a window", 1, 140, 140, 1, 2, {1, 140}, {9}, backend));
  return cases;
}

}  // namespace farsight
