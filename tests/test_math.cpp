// Numbers: the vectorised functions against long double, Philox against its published vectors.
#include <cmath>

#include "core/cpu/vector_math.h"
#include "core/ops.h"
#include "core/random.h"
#include "tests/catch.h"
#include "tests/op_cases.h"

namespace farsight {

TEST_CASE("exp_fast is within 2 ULP") {
  double worst = 0;
  for (float x = -87.3f; x < 88.7f; x += 0.00137f) {
    const long double exact = std::exp(static_cast<long double>(x));
    const float rounded = static_cast<float>(exact);
    const double ulp = std::nextafter(rounded, INFINITY) - static_cast<double>(rounded);
    worst = std::max(worst, static_cast<double>(std::fabs(exp_fast(x) - exact)) / ulp);
  }
  CHECK(worst < 2);
  CHECK(exp_fast(0.f) == 1);
  CHECK(exp_fast(-INFINITY) == 0);
  CHECK(exp_fast(-200.f) == 0);
  CHECK(exp_fast(INFINITY) == INFINITY);
  CHECK(exp_fast(89.f) == INFINITY);
  CHECK(std::isnan(exp_fast(std::nanf(""))));
}

TEST_CASE("normal_cdf and tanh_fast have the accuracy that they state") {
  double worst_cdf = 0, worst_tail = 0, worst_tanh = 0;
  for (float x = -12; x < 12; x += 0.000731f) {
    const long double cdf = std::erfc(-static_cast<long double>(x) / std::sqrt(2.0L)) / 2;
    double& worst = x > -4 ? worst_cdf : worst_tail;
    worst = std::max(worst, static_cast<double>(std::fabs(normal_cdf(x) - cdf) / cdf));
    worst_tanh = std::max(worst_tanh, std::fabs(static_cast<double>(tanh_fast(x)) - std::tanh(x)));
  }
  CHECK(worst_cdf < 1e-6);
  CHECK(worst_tail < 2e-5);
  CHECK(worst_tanh < 2e-7);
}

TEST_CASE("Philox gives the published numbers") {
  // Random123's known answers for philox4x32-10.
  CHECK(philox(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("normal numbers are normal") {
  const Stream stream{3, 4};
  double sum = 0, squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double x = stream.normal(i);
    sum += x;
    squares += x * x;
  }
  CHECK(std::fabs(sum / kCount) < 0.015);  // 4.7 standard errors
  CHECK(std::fabs(squares / kCount - 1) < 0.02);
}

TEST_CASE("dropout keeps the right share and scales it") {
  const Tensor ones = Tensor::full({100000}, 1, cpu_backend());
  const auto values = dropout(ones, real(0.25), {1, 2}).to_vector();
  int64_t kept = 0;
  for (const real value : values) {
    CHECK((value == 0 || value == real(1) / real(0.75)));
    kept += value != 0;
  }
  CHECK(std::fabs(kept / 100000.0 - 0.75) < 0.007);
  CHECK(dropout(ones, real(0.25), {1, 2}).to_vector() == values);
  CHECK(dropout(ones, real(0.25), {1, 3}).to_vector() != values);
  CHECK_THROWS(dropout(ones, 1, {1, 2}));
}

TEST_CASE("cross-entropy counts what is right and survives large logits") {
  const Tensor x = Tensor::from({2, 2}, std::vector<real>{1000, 0, 0, 1000}, cpu_backend());
  const Tensor w = Tensor::from({3, 2}, std::vector<real>{1, 0, 0, 1, -1, -1}, cpu_backend());
  Tensor correct;
  const Ids targets(std::vector<int32_t>{0, 0}, cpu_backend());
  const auto losses = cross_entropy(x, w, targets, &correct).to_vector();
  CHECK(losses[0] == Approx(0).margin(1e-6));
  CHECK(losses[1] == Approx(1000));
  CHECK(correct.to_vector() == std::vector<real>{1, 0});
}

TEST_CASE("ops refuse shapes that do not fit, and say which") {
  const auto random = [](const Shape& shape) { return random_tensor(shape, cpu_backend()); };
  CHECK_THROWS_WITH(linear(random({2, 3}), random({4, 5})), "[linear] inner sizes differ: 3 and 5");
  CHECK_THROWS_WITH(add(random({2, 3}), random({3, 2})), "[add] shapes differ: (2, 3) and (3, 2)");
}

}  // namespace farsight
