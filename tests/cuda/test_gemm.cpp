// Matrix products on the CUDA backend: awkward shapes, all transpositions, all precisions.
#include <cstring>

#include "cuda/bf16.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"

namespace farsight {
namespace {

/// x with `bits` bits of mantissa, rounded to nearest; ties to even (bf16) or away from 0 (TF32).
real rounded(real x, int bits, bool to_even) {
  if constexpr (sizeof(real) != 4) return x;
  const int dropped = 23 - bits;
  uint32_t word;
  const auto value = static_cast<float>(x);
  std::memcpy(&word, &value, sizeof word);
  const uint32_t half = 1u << (dropped - 1);
  word += to_even ? half - 1 + (word >> dropped & 1) : half;
  word &= ~((1u << dropped) - 1);
  float result;
  std::memcpy(&result, &word, sizeof result);
  return static_cast<real>(result);
}

struct Size {
  int64_t M, N, K;
};

/// The largest error of a product, as a share of sqrt(K), which normal numbers' products grow with.
/// Its operands lie `shift` numbers behind an aligned address.
double product_error(const Size& size, bool ta, bool tb, real beta, Precision precision,
                     int64_t shift = 0) {
  Backend& device = open_backend("cuda");
  const auto [M, N, K] = size;
  const Tensor a = numbers({M * K}, 1, cpu_backend()), b = numbers({N * K}, 2, cpu_backend());
  const Tensor c = numbers({M * N}, 3, cpu_backend());
  const auto displaced = [&](const Tensor& x) {
    std::vector<real> values = x.to_vector();
    values.insert(values.begin(), shift, 0);
    return Tensor::from({x.size() + shift}, values, device);
  };
  const Tensor device_a = displaced(a), device_b = displaced(b), device_c = displaced(c);
  device.set_precision(precision);
  device.gemm(device_c.data() + shift, device_a.data() + shift, device_b.data() + shift, ta, tb, M,
              N, K, real(0.7), beta);
  device.set_precision(Precision::kFp32);

  const bool even = precision == Precision::kBf16;
  const int bits = even ? 7 : 10;
  const bool thin = !ta && tb && M <= 4;  // in fp32 whatever is asked for
  std::vector<real> va = a.to_vector(), vb = b.to_vector(), expected = c.to_vector();
  if (precision != Precision::kFp32 && !thin) {
    for (real& x : va) x = rounded(x, bits, even);
    for (real& x : vb) x = rounded(x, bits, even);
  }
  std::vector<real> got = device_c.to_vector();
  double worst = 0;
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < K; ++k)
        sum += static_cast<double>(ta ? va[k * M + m] : va[m * K + k]) *
               (tb ? vb[n * K + k] : vb[k * N + n]);
      const double value = 0.7 * sum + beta * expected[m * N + n];
      const double error = std::fabs(value - got[shift + m * N + n]);
      worst = std::isfinite(error) ? std::max(worst, error) : error;
    }
  }
  for (int64_t i = 0; i < shift; ++i) CHECK(got[i] == 0);
  return worst / std::sqrt(static_cast<double>(K));
}

/// Tensor cores cut off what is below the largest product of a few, and round no sum. In fp32 the
/// emulator stays below 1.9e-6 in all of these tests, multiply-adds that round once below 2.1e-6.
double allowed(Precision precision) {
  if (sizeof(real) == 8) return 1e-14;
  return precision == Precision::kFp32 ? 3e-6 : 1e-5;
}

std::vector<Precision> precisions() {
  if (sizeof(real) == 8) return {Precision::kFp32};
  return {Precision::kFp32, Precision::kTf32, Precision::kBf16};
}

}  // namespace

TEST_CASE("cuda: products of awkward shapes") {
  const Size sizes[] = {{1, 1, 1},     {1, 31, 33},    {33, 1, 7},
                        {31, 33, 129}, {129, 127, 31}, {65, 130, 48}};
  for (const Precision precision : precisions()) {
    for (const Size& size : sizes) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          INFO(size.M << " x " << size.N << " x " << size.K << ", ta " << ta << ", tb " << tb
                      << ", precision " << static_cast<int>(precision));
          CHECK(product_error(size, ta, tb, ta == tb ? real(0.3) : real(0), precision) <
                allowed(precision));
        }
      }
    }
  }
}

TEST_CASE("cuda: products of many shapes", "[.][full]") {
  const int64_t lengths[] = {1, 31, 33, 64, 127, 129};
  for (const Precision precision : precisions())
    for (const int64_t M : lengths)
      for (const int64_t N : lengths)
        for (const int64_t K : lengths)
          for (const bool ta : {false, true})
            for (const bool tb : {false, true}) {
              INFO(M << " x " << N << " x " << K << ", ta " << ta << ", tb " << tb << ", precision "
                     << static_cast<int>(precision));
              CHECK(product_error({M, N, K}, ta, tb, real(0.3), precision) < allowed(precision));
            }
}

TEST_CASE("cuda: products from addresses that are not aligned") {
  for (const Precision precision : precisions())
    for (const bool ta : {false, true})
      for (const int64_t shift : {2, 3})  // 2: aligned to half a group of four
        CHECK(product_error({36, 40, 44}, ta, !ta, 1, precision, shift) < allowed(precision));
}

TEST_CASE("cuda: products that are split along the inner dimension, and large tiles") {
  for (const Precision precision : precisions()) {
    CHECK(product_error({40, 24, 1100}, true, false, 1, precision) < allowed(precision));
    CHECK(product_error({130, 70, 1100}, true, false, 1, precision) < allowed(precision));
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        CHECK(product_error({260, 260, 40}, ta, tb, 0, precision) < allowed(precision));
    CHECK(product_error({257, 300, 72}, true, false, 1, precision) < allowed(precision));
  }
}

TEST_CASE(
    "cuda: a product adds a bias and a residual and makes GELU, split or not, aligned or not") {
  Backend& device = open_backend("cuda");
  const Map kind = GENERATE(Map::kGelu, Map::kGeluTanh);
  const int64_t shift = GENERATE(0, 1);  // of all but the operands and c
  const bool in_place = GENERATE(false, true);
  for (const Precision precision : precisions()) {
    for (const auto& [M, N, K] : {Size{33, 40, 20}, {65, 31, 9}, {40, 24, 1100}}) {
      const auto product = [&, M = M, N = N, K = K](Backend& backend) {
        const Tensor a = numbers({M * K}, 1, backend), b = numbers({N * K}, 2, backend);
        const Tensor bias = numbers({N + shift}, 3, backend);
        const Tensor residual = numbers({M * N + shift}, 4, backend);
        const Tensor c = numbers({M * N}, 5, backend);
        const Tensor gelu = Tensor::full({M * N + shift}, 0, backend);
        // Results of the size of 1, where the two kinds of GELU differ.
        backend.gemm(c.data(), a.data(), b.data(), false, true, M, N, K,
                     1 / std::sqrt(static_cast<real>(K)), real(0.5),
                     {bias.data() + shift, residual.data() + shift,
                      in_place ? c.data() : gelu.data() + shift, kind});
        return std::pair(c.to_vector(), gelu.to_vector());
      };
      device.set_precision(precision);
      const auto got = product(device);
      device.set_precision(Precision::kFp32);
      const auto expected = product(cpu_backend());
      const double rounding = precision == Precision::kFp32 ? kRounding : 0.01;
      CHECK(difference(got.first, expected.first) < rounding);
      CHECK(difference(got.second, expected.second) < rounding);
    }
  }
}

TEST_CASE("cuda: a product with nothing inside is beta times what was there") {
  CHECK(product_error({5, 6, 1}, false, false, 0, Precision::kFp32) < 1e-6);
  Backend& device = open_backend("cuda");
  const Tensor c = Tensor::full({6}, 2, device);
  device.gemm(c.data(), c.data(), c.data(), false, false, 2, 3, 0, 1, real(0.5));
  CHECK(c.to_vector() == std::vector<real>(6, 1));
  // beta = 0 overwrites even NaN, also where the product is split.
  for (const int64_t K : {1, 600}) {
    const Tensor nan = Tensor::full({6}, std::numeric_limits<real>::quiet_NaN(), device);
    const Tensor one = Tensor::full({3 * K}, 1, device);
    device.gemm(nan.data(), one.data(), one.data(), false, false, 2, 3, K, 1, 0);
    CHECK(nan.to_vector() == std::vector<real>(6, static_cast<real>(K)));
  }
}

TEST_CASE("cuda: what kernels leave rounded for products is what products would make") {
  if (sizeof(real) == 8) return;
  Backend& device = open_backend("cuda");
  const int64_t N = 260, C = GENERATE(64, 70, 75);  // rows that are padded to 16 bytes, and not
  const Tensor x = numbers({N, C}, 1, device), y({N, C}, device), some({N}, device);
  const Tensor gain = numbers({C}, 2, device), weight = numbers({C, C}, 3, device);
  const auto products_agree = [&](RoundedCopy& copy) {
    CHECK(copy.memory);
    const Tensor with({N, N}, device), without({N, N}, device);
    const Operand kept(y.data(), &copy);
    device.gemm(with.data(), kept, kept, false, true, N, N, C, 1, 0);
    device.gemm(without.data(), y.data(), y.data(), false, true, N, N, C, 1, 0);
    CHECK(with.to_vector() == without.to_vector());
  };
  RoundedCopy of_norm, of_gelu, of_split_gelu, of_loss, as_heads;
  device.set_precision(Precision::kBf16);
  device.layer_norm(y.data(), some.data(), some.data(), &of_norm, x.data(), gain.data(),
                    gain.data(), N, C, real(1e-5));
  products_agree(of_norm);
  const Tensor h({N, C}, device);
  device.gemm(h.data(), x.data(), weight.data(), false, true, N, C, C, 1, 0,
              {nullptr, nullptr, y.data(), Map::kGelu, &of_gelu});
  products_agree(of_gelu);
  const Tensor a = numbers({N, 600}, 4, device), b = numbers({C, 600}, 5, device);
  device.gemm(h.data(), a.data(), b.data(), false, true, N, C, 600, real(0.1), 0,
              {nullptr, nullptr, y.data(), Map::kGelu, &of_split_gelu});
  products_agree(of_split_gelu);
  const Ids targets(std::vector<int32_t>(N, 3), device);
  device.cross_entropy_gradient(y.data(), &of_loss, some.data(), some.data(), targets.data(), N, C);
  products_agree(of_loss);
  // A copy of the same elements as rows of another length is none of these.
  const int64_t D = C == 75 ? 15 : C / 2;
  const AttentionSizes sizes{1, N, N, C / D, D, 0, 1, nullptr};
  const Tensor mixed({N, C}, device), lse({N * C / D}, device);
  const Operand heads(y.data(), &as_heads);
  device.attention(mixed.data(), lse.data(), heads, heads, heads, {}, sizes);
  products_agree(as_heads);
  device.set_precision(Precision::kFp32);
}

TEST_CASE("cuda: bf16 is the nearest, ties to even, and NaN stays NaN") {
  const auto bf16 = [](uint32_t word) {
    float x;
    std::memcpy(&x, &word, sizeof x);
    return round_to_bf16(x);
  };
  CHECK(bf16(0x3f807fff) == 0x3f80);
  CHECK(bf16(0x3f808000) == 0x3f80);
  CHECK(bf16(0x3f818000) == 0x3f82);
  CHECK(bf16(0xbf808001) == 0xbf81);
  CHECK(bf16(0x7f7fffff) == 0x7f80);  // too large: infinity
  for (const uint32_t nan : {0x7fffffffu, 0xffffffffu, 0x7f800001u})
    CHECK((bf16(nan) & 0x7fff) > 0x7f80);
}

}  // namespace farsight
