// Matrix products of the CPU in bf16, and what is trained with them.
#include <omp.h>

#include <bit>
#include <cmath>
#include <numeric>

#include "core/attention.h"
#include "core/cpu/gemm_bf16.h"
#include "core/tape.h"
#include "tests/catch.h"
#include "tests/op_cases.h"
#include "tests/small_model.h"

namespace farsight {
namespace {

/// The CPU computes in bf16 while it lives.
struct InBf16 {
  InBf16() { cpu_backend().set_precision(Precision::kBf16); }
  ~InBf16() { cpu_backend().set_precision(Precision::kFp32); }
};

/// Whether the processor can; a line in the report if not.
bool possible() {
  if (!has_bf16_products()) WARN("this processor has no bf16 instructions: nothing tested");
  return has_bf16_products();
}

/// The nearest number with 8 bits of mantissa, ties to even.
float rounded(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

struct Sizes {
  int64_t M, N, K;
};

/// The largest error of c = 0.7 op(a) op(b) + beta c + bias + residual against a plain sum of
/// rounded numbers in double, as a share of sqrt(K), which normal numbers' sums grow with.
double error_of_product(const Sizes& sizes, bool ta, bool tb, float beta = 0.5f) {
  const auto [M, N, K] = sizes;
  Backend& cpu = cpu_backend();
  const Tensor a = random_tensor({M, K}, cpu, false), b = random_tensor({N, K}, cpu, false),
               c = random_tensor({M, N}, cpu, false), residual = random_tensor({M, N}, cpu, false),
               bias = random_tensor({N}, cpu, false);
  const std::vector<float> before = c.to_vector();
  gemm_bf16(c.data(), a.data(), b.data(), ta, tb, M, N, K, 0.7f, beta, bias.data(),
            residual.data());
  double worst = 0;
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < K; ++k)
        sum += static_cast<double>(rounded(a.data()[ta ? k * M + m : m * K + k])) *
               rounded(b.data()[tb ? n * K + k : k * N + n]);
      const int64_t i = m * N + n;
      const double exact = 0.7 * sum + beta * before[i] + bias.data()[n] + residual.data()[i];
      worst = std::max(worst, std::fabs(exact - c.data()[i]));
    }
  }
  return worst / std::sqrt(static_cast<double>(K));
}

/// Normal numbers that bf16 has.
Tensor rounded_tensor(const Shape& shape) {
  std::vector<float> values = random_tensor(shape, cpu_backend(), false).to_vector();
  for (float& value : values) value = rounded(value);
  return Tensor::from(shape, values, cpu_backend());
}

struct AttentionCase {
  int64_t T, Tq, D;
  int window;  // of the first of two heads
  Shape bias;  // none, relative or dense
};

/// Attention's result and the gradients of q, k, v and the bias.
std::vector<std::vector<float>> attend(const AttentionCase& sizes, std::vector<Tensor> in) {
  const std::vector<int32_t> windows{sizes.window, 0};
  for (Tensor& x : in) x = Tensor::from(x.shape(), x.to_vector(), cpu_backend()).track();
  Tape tape;
  const Tensor y = attention(in[0], in[1], in[2], {sizes.bias.rank() ? in[3] : Tensor()},
                             Ids(windows, cpu_backend()));
  tape.backward(y, in[4]);
  std::vector<std::vector<float>> results{y.to_vector()};
  for (size_t i = 0; i < (sizes.bias.rank() ? 4 : 3); ++i)
    results.push_back(in[i].grad_to_vector());
  return results;
}

/// The root mean square of a - b as a share of that of b, or of 1 if that is more.
double difference_of(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(b[i], 2);
  }
  return std::sqrt(difference / std::max(size, static_cast<double>(a.size())));
}

}  // namespace

TEST_CASE("bf16 attention rounds its operands and weights and nothing else") {
  if (!possible()) return;
  // What is left is the rounding of probabilities and of their gradients, 2^-9 of each at most, of
  // which a few keys can cancel most.
  for (const int64_t T : {1, 2, 31, 65, 127, 129, 300}) {
    for (const int64_t Tq : {T, (T + 1) / 2}) {
      for (const auto& [D, window] :
           {std::pair(1, 7), {5, 0}, {16, 100}, {24, 1}, {40, 0}, {64, 0}}) {
        for (const Shape& bias : {Shape{}, Shape{2, T + 3}, Shape{2, Tq, T}}) {
          const AttentionCase sizes{T, Tq, D, window, bias};
          std::vector<Tensor> in{rounded_tensor({2, Tq, 2, D}), rounded_tensor({2, T, 2, D}),
                                 rounded_tensor({2, T, 2, D}),
                                 rounded_tensor(bias.rank() ? bias : Shape{1}),
                                 rounded_tensor({2, Tq, 2, D})};
          const auto exact = attend(sizes, in);
          const InBf16 precision;
          const auto result = attend(sizes, in);
          INFO("T " << T << ", Tq " << Tq << ", D " << D << ", window " << window << ", bias "
                    << bias);
          for (size_t i = 0; i < result.size(); ++i)
            CHECK(difference_of(result[i], exact[i]) < 8e-3);
        }
      }
    }
  }
}

TEST_CASE("probabilities by distance add up to 1 in bf16 as well") {
  if (!possible()) return;
  const InBf16 precision;
  const Tensor q = random_tensor({1, 150, 2, 24}, cpu_backend(), false);
  const std::vector<float> mass = attention_mass(q, q).mass.to_vector();
  CHECK(std::accumulate(mass.begin(), mass.end(), 0.0) == Approx(2 * 150));
}

TEST_CASE("bf16 products round their operands and nothing else") {
  if (!possible()) return;
  // Below and above a lane, a panel, a tile, a block, a depth and a slab in each direction.
  const Sizes cases[] = {{1, 1, 1},     {7, 33, 5},      {8, 32, 2},     {17, 15, 31}, {31, 65, 33},
                         {300, 40, 77}, {40, 300, 77},   {33, 34, 385},  {9, 2053, 3}, {2051, 9, 3},
                         {5, 6, 2053},  {129, 257, 769}, {64, 2050, 390}};
  for (const Sizes& sizes : cases) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        INFO(sizes.M << " x " << sizes.N << " x " << sizes.K << ", ta " << ta << ", tb " << tb);
        CHECK(error_of_product(sizes, ta, tb) < 3e-6);
      }
    }
  }
}

TEST_CASE("bf16 products are written past the caches where they are large") {
  if (!possible()) return;
  CHECK(error_of_product({2056, 2080, 8}, false, true, 0) < 3e-6);
}

TEST_CASE("bf16 products overwrite what is no number") {
  if (!possible()) return;
  const InBf16 precision;
  Backend& cpu = cpu_backend();
  const Tensor c = Tensor::full({40, 40}, std::nanf(""), cpu), one = Tensor::full({40, 40}, 1, cpu);
  cpu.gemm(c.data(), one.data(), one.data(), false, false, 40, 40, 40, 1, 0);
  CHECK(c.to_vector() == std::vector<float>(1600, 40));
}

TEST_CASE("bf16 products are the same bits on any number of threads") {
  if (!possible()) return;
  const InBf16 precision;
  Backend& cpu = cpu_backend();
  const Tensor a = random_tensor({300, 500}, cpu, false), b = random_tensor({500, 200}, cpu, false);
  const int threads = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (const int count : {1, 2, 3, 7}) {
    omp_set_num_threads(count);
    const Tensor c({300, 200}, cpu);
    cpu.gemm(c.data(), a.data(), b.data(), false, false, 300, 200, 500, 1, 0);
    results.push_back(c.to_vector());
  }
  omp_set_num_threads(threads);
  for (const auto& result : results) CHECK(result == results[0]);
}

TEST_CASE("a model learns in bf16 as it does in fp32") {
  if (!possible()) return;
  const TokenSource text = small_text(2000);
  const auto losses = [&] {
    Config config = small_run("none");
    config.steps = 200;
    config.rate = 5e-3;
    Trainer trainer(config, text, cpu_backend());
    std::vector<double> losses;
    for (int64_t i = 0; i < config.steps; ++i) losses.push_back(trainer.step().loss);
    return losses;
  };
  const std::vector<double> exact = losses();
  const InBf16 precision;
  const std::vector<double> rounded = losses();
  CHECK(rounded[0] == Approx(exact[0]).epsilon(1e-3));
  CHECK(rounded[0] != exact[0]);  // or nothing was rounded
  // The same path while differences have not had the time to grow, and the same success.
  for (int step = 0; step < 10; ++step) CHECK(rounded[step] == Approx(exact[step]).epsilon(0.01));
  for (const auto& run : {exact, rounded}) CHECK(run.back() < 0.6 * run.front());
}

TEST_CASE("the CPU refuses a precision that it does not have") {
  CHECK(contains(error_of([] { cpu_backend().set_precision(Precision::kTf32); }),
                 "the CPU computes in fp32 or bf16"));
  if (!has_bf16_products())
    CHECK(contains(error_of([] { cpu_backend().set_precision(Precision::kBf16); }),
                   "use --precision fp32"));
}

}  // namespace farsight
