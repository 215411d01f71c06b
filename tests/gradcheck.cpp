// The derivative checks, compiled in double: every registered op and every registered scheme.
#include "tests/gradcheck.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "core/ops.h"
#include "core/tape.h"
#include "nn/language_model.h"
#include "tests/catch.h"

namespace farsight {

void Comparison::add(double analytic, double numeric) {
  const double error = std::fabs(analytic - numeric);
  const double size = std::max(std::fabs(analytic), std::fabs(numeric));
  const bool number = std::isfinite(error);
  ++derivatives;
  worst = std::max(worst,
                   number ? error / (1e-8 + 1e-6 * size) : std::numeric_limits<double>::infinity());
  relative = std::max(
      relative, number ? error / std::max(size, 1e-2) : std::numeric_limits<double>::infinity());
}

void Comparison::add(const Comparison& other) {
  derivatives += other.derivatives;
  worst = std::max(worst, other.worst);
  relative = std::max(relative, other.relative);
}

namespace {

double dot(const std::vector<real>& a, const std::vector<real>& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

/// (f(x + h d) - f(x - h d)) / 2h, x being the tensor's values.
double slope(const Tensor& x, const std::vector<real>& direction, double h,
             const std::function<double()>& f) {
  const std::vector<real> values = x.to_vector();
  const auto at = [&](double step) {
    std::vector<real> moved = values;
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += static_cast<real>(step * direction[i]);
    x.backend().upload(x.data(), moved.data(), moved.size() * sizeof(real));
    return f();
  };
  const double difference = at(h) - at(-h);
  at(0);
  return difference / (2 * h);
}

void clear_grad(const Tensor& x) { x.backend().fill(x.grad(), 0, x.size()); }

}  // namespace

Comparison compare_gradients(const OpCase& op_case, Backend& backend) {
  const Tensor covector = random_tensor(op_case.forward().shape(), backend, false);
  const std::vector<real> weights = covector.to_vector();
  for (const Tensor& input : op_case.inputs) clear_grad(input);
  {
    Tape tape;
    tape.backward(op_case.forward(), covector);
  }
  Comparison comparison;
  for (const Tensor& input : op_case.inputs) {
    const std::vector<real> analytic = input.grad_to_vector();
    for (int64_t i = 0; i < input.size(); ++i) {
      std::vector<real> unit(input.size(), 0);
      unit[i] = 1;
      comparison.add(analytic[i], slope(input, unit, 1e-5, [&] {
                       return dot(op_case.forward().to_vector(), weights);
                     }));
    }
  }
  return comparison;
}

Comparison compare_scheme_gradients(const std::string& scheme, Backend& backend) {
  ModelConfig config;
  config.vocabulary = 11;
  config.width = 12;
  config.heads = 3;
  config.blocks = 2;
  config.length = 9;
  config.tied = false;
  config.position = scheme;
  LanguageModel model(config, 3, backend);
  // Larger weights than at the start of training, so that every path matters.
  for (const Parameter& parameter : model.parameters()) {
    const auto noise = random_tensor(parameter.tensor.shape(), backend, false);
    backend.accumulate(parameter.tensor.data(), noise.data(), real(0.3), noise.size());
  }
  const Ids tokens(std::vector<int32_t>{1, 5, 2, 9, 0, 4, 4, 7, 3, 10, 8, 8, 6, 1, 2, 3, 0, 5},
                   backend);
  const Ids targets(std::vector<int32_t>{5, 2, 9, 0, 4, 4, 7, 3, 1, 8, 8, 6, 1, 2, 3, 0, 5, 10},
                    backend);
  const Tensor covector = random_tensor({18}, backend, false);
  const std::vector<real> weights = covector.to_vector();
  {
    Tape tape;
    tape.backward(model.losses(tokens, targets, 2), covector);
  }
  Comparison comparison;
  for (const Parameter& parameter : model.parameters()) {
    const Tensor& x = parameter.tensor;
    const std::vector<real> direction = random_tensor(x.shape(), backend, false).to_vector();
    comparison.add(dot(x.grad_to_vector(), direction), slope(x, direction, 1e-5, [&] {
                     return dot(model.losses(tokens, targets, 2).to_vector(), weights);
                   }));
  }
  return comparison;
}

TEST_CASE("every op's derivatives agree with central differences") {
  std::set<std::string> covered;
  for (const OpCase& op_case : op_cases(cpu_backend())) {
    covered.insert(op_case.op);
    const Comparison comparison = compare_gradients(op_case, cpu_backend());
    INFO(op_case.op << ", " << op_case.what << ": " << comparison.relative);
    CHECK(comparison.passed());
  }
  for (const std::string& name : Op::names()) {
    INFO("the op " << name << " needs a case in tests/op_cases.cpp");
    CHECK(covered.count(name) == 1);
  }
}

TEST_CASE("every scheme's derivatives agree with central differences") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    const Comparison comparison = compare_scheme_gradients(entry->name, cpu_backend());
    INFO(entry->name << ": " << comparison.relative);
    CHECK(comparison.passed());
  }
}

TEST_CASE("a derivative that is wrong by one percent is caught") {
  static const Op wrong_op("wrong");
  const Tensor x = random_tensor({5}, cpu_backend());
  const auto wrong = [=] {
    Tensor y(x.shape(), x.backend());
    x.backend().scale(y.data(), x.data(), 2, x.size());
    wrong_op.record({x}, y,
                    [=] { x.backend().accumulate(x.grad(), y.grad(), real(2.02), x.size()); });
    return y;
  };
  CHECK_FALSE(compare_gradients({"wrong", "", {x}, wrong}, cpu_backend()).passed());
}

TEST_CASE("calling backward twice accumulates, for every op") {
  for (const OpCase& op_case : op_cases(cpu_backend())) {
    const Tensor covector = random_tensor(op_case.forward().shape(), cpu_backend(), false);
    const auto backward = [&] {
      Tape tape;
      tape.backward(op_case.forward(), covector);
    };
    for (const Tensor& input : op_case.inputs) clear_grad(input);
    backward();
    std::vector<std::vector<real>> once;
    for (const Tensor& input : op_case.inputs) once.push_back(input.grad_to_vector());
    backward();
    INFO(op_case.op << ", " << op_case.what);
    Comparison comparison;
    for (size_t i = 0; i < once.size(); ++i) {
      const std::vector<real> twice = op_case.inputs[i].grad_to_vector();
      for (size_t j = 0; j < twice.size(); ++j) comparison.add(twice[j], 2 * once[i][j]);
    }
    CHECK(comparison.passed());
  }
}

TEST_CASE("an input used twice gets the gradients of both uses") {
  const Tensor x = random_tensor({6}, cpu_backend());
  // As both arguments of an op, by two ops, and by an op and directly.
  const std::function<Tensor()> uses[] = {[=] { return multiply(x, x); },
                                          [=] { return multiply(gelu(x), exp(x)); },
                                          [=] { return add(gelu(x), x); }};
  for (const auto& use : uses)
    CHECK(compare_gradients({"twice", "", {x}, use}, cpu_backend()).passed());
  clear_grad(x);
  {
    Tape tape;
    tape.backward(sum(add(scale(x, 3), add(x, x))));
  }
  CHECK(x.grad_to_vector() == std::vector<real>(6, 5));
}

TEST_CASE("NaN is a wrong derivative") {
  Comparison comparison;
  comparison.add(std::nan(""), 1);
  CHECK_FALSE(comparison.passed());
}

TEST_CASE("the table of derivatives", "[.][table]") {
  const auto print = [](const std::string& name, const Comparison& c) {
    std::printf("%-16s %11lld   %10.1e   %s\n", name.c_str(), static_cast<long long>(c.derivatives),
                c.relative, c.passed() ? "ok" : "WRONG");
    CHECK(c.passed());
  };
  std::printf("%-16s %11s   %10s\n", "op", "derivatives", "worst");
  std::map<std::string, Comparison> by_op;
  for (const OpCase& op_case : op_cases(cpu_backend()))
    by_op[op_case.op].add(compare_gradients(op_case, cpu_backend()));
  for (const auto& [name, comparison] : by_op) print(name, comparison);
  std::printf("\n%-16s %11s   %10s\n", "scheme", "directions", "worst");
  for (const PositionEntry* entry : PositionEntry::all())
    print(entry->name, compare_scheme_gradients(entry->name, cpu_backend()));
}

}  // namespace farsight
