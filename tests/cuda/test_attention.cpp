// Attention on the CUDA backend against the CPU's: awkward lengths, head widths, windows, offsets
// and biases, forward, backward, by distance, and from rings.
#include "core/attention.h"
#include "core/tape.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"

namespace farsight {
namespace {

struct Case {
  int64_t B, Tq, Tk, H, D;
  std::vector<int32_t> windows;
  char bias;  // 'n'one, 'r'elative, 'd'ense, 'm': dense and -infinity far from the query
};

/// Output, gradients of q, k, v and the bias, mass and entropy.
std::vector<std::vector<real>> results_of(const Case& c, Backend& backend) {
  const Tensor q = numbers({c.B, c.Tq, c.H, c.D}, 1, backend).track();
  const Tensor k = numbers({c.B, c.Tk, c.H, c.D}, 2, backend).track();
  const Tensor v = numbers({c.B, c.Tk, c.H, c.D}, 3, backend).track();
  Bias bias;
  if (c.bias == 'r') bias.values = numbers({c.H, c.Tk + 3}, 4, backend).track();
  if (c.bias == 'd') bias.values = numbers({c.H, c.Tq, c.Tk}, 4, backend).track();
  if (c.bias == 'm') {
    std::vector<real> values = numbers({c.H * c.Tq * c.Tk}, 4, backend).to_vector();
    for (int64_t i = 0; i < c.H * c.Tq * c.Tk; ++i)
      if (i % c.Tk + c.Tq + 20 < i / c.Tk % c.Tq + c.Tk)
        values[i] = -std::numeric_limits<real>::infinity();
    bias.values = Tensor::from({c.H, c.Tq, c.Tk}, values, backend).track();
  }
  const Ids windows = c.windows.empty() ? Ids() : Ids(c.windows, backend);
  std::vector<std::vector<real>> results;
  {
    Tape tape;
    const Tensor y = attention(q, k, v, bias, windows);
    results.push_back(y.to_vector());
    tape.backward(y, numbers(y.shape(), 5, backend));
  }
  for (const Tensor& x : {q, k, v}) results.push_back(x.grad_to_vector());
  if (bias.values.defined()) results.push_back(bias.values.grad_to_vector());
  const AttentionMass mass = attention_mass(q, k, bias, windows, c.Tq / 3);
  results.push_back(mass.mass.to_vector());
  results.push_back(mass.entropy.to_vector());
  return results;
}

void check_cases(const std::vector<Case>& cases) {
  Backend& device = open_backend("cuda");
  std::vector<Precision> precisions{Precision::kFp32};
  if (sizeof(real) == 4) precisions.push_back(Precision::kBf16);
  for (const Precision precision : precisions) {
    for (const Case& c : cases) {
      // In double, which serves these tests alone, tiles of wide heads do not fit shared memory.
      if (sizeof(real) == 8 && c.D > 64) continue;
      const auto expected = results_of(c, cpu_backend());
      device.set_precision(precision);
      const auto got = results_of(c, device);
      device.set_precision(Precision::kFp32);
      REQUIRE(got.size() == expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        INFO("B " << c.B << ", Tq " << c.Tq << ", Tk " << c.Tk << ", H " << c.H << ", D " << c.D
                  << ", bias " << c.bias << ", precision " << static_cast<int>(precision)
                  << ", result " << i);
        // bf16 keeps 8 bits of each factor, which shows in sums of D products of normal numbers;
        // mass and entropy, the last two, are fp32 always.
        const double allowed = precision == Precision::kFp32 || i + 2 >= got.size()
                                   ? 2 * kRounding
                                   : std::max(0.02, std::sqrt(static_cast<double>(c.D)) / 128);
        CHECK(difference(got[i], expected[i]) < allowed);
      }
    }
  }
}

}  // namespace

TEST_CASE("cuda: attention of awkward lengths and offsets") {
  check_cases({{1, 1, 1, 1, 4, {}, 'n'},
               {2, 31, 31, 2, 8, {}, 'r'},
               {1, 33, 33, 1, 3, {}, 'd'},
               {2, 1, 40, 2, 6, {}, 'r'},
               {1, 65, 129, 2, 4, {}, 'r'},
               {2, 7, 70, 1, 5, {}, 'd'},
               {1, 129, 129, 1, 4, {}, 'r'},
               {2, 66, 66, 1, 4, {}, 'd'}});
}

TEST_CASE("cuda: attention with windows") {
  // Of a window of 2, the last query that sees a tile of keys is the first of its own tile.
  check_cases({{1, 130, 130, 4, 4, {1, 2, 17, 100}, 'r'},
               {1, 40, 140, 2, 4, {33, 0}, 'n'},
               {2, 70, 70, 2, 4, {64, 5}, 'd'}});
}

TEST_CASE("cuda: a query sees no key after it and none before its window, not even one") {
  // Scores that grow by 8 from one key to the next, or fall: the mass lies on the latest key that a
  // query sees, or on the oldest, and one more would take it all, or e^8 times as much where the
  // denominator is known: gradients of q and k, which come to next to nothing, would be thousands.
  // Whole numbers up to 256 are exact in bf16.
  Backend& device = open_backend("cuda");
  const auto results = [](Backend& backend, int64_t Tq, int64_t Tk, int window, int step) {
    const int64_t D = 4;
    std::vector<real> queries(Tq * D, 0), keys(Tk * D, 0);
    for (int64_t i = 0; i < Tq; ++i) queries[i * D] = 16;
    for (int64_t j = 0; j < Tk; ++j) keys[j * D] = static_cast<real>(step * j);
    const Tensor q = Tensor::from({1, Tq, 1, D}, queries, backend).track();
    const Tensor k = Tensor::from({1, Tk, 1, D}, keys, backend).track();
    const Tensor v = numbers({1, Tk, 1, D}, 3, backend).track();
    Tape tape;
    const Tensor y = attention(q, k, v, {}, Ids(std::vector<int32_t>{window}, backend));
    tape.backward(y, numbers(y.shape(), 5, backend));
    return std::vector{y.to_vector(), v.grad_to_vector(), q.grad_to_vector(), k.grad_to_vector()};
  };
  for (const int64_t offset : {0, 14, 15, 16, 30, 31, 62})
    for (const int window : {0, 2, 47, 111})
      for (const int step : {1, -1}) {
        INFO("offset " << offset << ", window " << window << ", step " << step);
        const int64_t Tq = 130, Tk = Tq + offset;
        const auto expected = results(cpu_backend(), Tq, Tk, window, step);
        for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
          if (sizeof(real) == 8 && precision != Precision::kFp32) continue;
          device.set_precision(precision);
          const auto got = results(device, Tq, Tk, window, step);
          device.set_precision(Precision::kFp32);
          for (const int i : {0, 1})
            CHECK(difference(got[i], expected[i]) <
                  (precision == Precision::kFp32 ? 2 * kRounding : 0.02));
          for (const int i : {2, 3})
            CHECK(std::all_of(got[i].begin(), got[i].end(),
                              [](real x) { return std::fabs(x) < 100; }));
        }
      }
}

TEST_CASE("cuda: attention with scores of -infinity") {
  check_cases({{2, 150, 150, 1, 4, {}, 'm'}, {1, 40, 140, 2, 4, {30, 0}, 'm'}});
}

TEST_CASE("cuda: attention of every head width") {
  check_cases({{1, 35, 35, 2, 32, {}, 'r'},
               {1, 66, 66, 1, 40, {}, 'r'},
               {1, 33, 70, 1, 64, {9}, 'd'},
               {1, 40, 40, 1, 96, {}, 'n'},
               {1, 100, 100, 1, 128, {}, 'r'}});
}

TEST_CASE("cuda: attention of which only one gradient is wanted") {
  const auto gradient = [](Backend& backend, int which, bool dense) {
    const int64_t T = 70;
    const Tensor inputs[] = {numbers({2, T, 1, 4}, 1, backend), numbers({2, T, 1, 4}, 2, backend),
                             numbers({2, T, 1, 4}, 3, backend),
                             numbers(dense ? Shape{1, T, T} : Shape{1, T}, 4, backend)};
    inputs[which].track();
    Bias bias;
    bias.values = inputs[3];
    Tape tape;
    const Tensor y = attention(inputs[0], inputs[1], inputs[2], bias, {});
    tape.backward(y, numbers(y.shape(), 5, backend));
    return inputs[which].grad_to_vector();
  };
  Backend& device = open_backend("cuda");
  for (const int which : {0, 1, 2, 3})
    for (const bool dense : {false, true}) {
      INFO("input " << which << ", dense " << dense);
      const auto expected = gradient(cpu_backend(), which, dense);
      CHECK(difference(gradient(device, which, dense), expected) < 2 * kRounding);
      if (sizeof(real) == 8) continue;
      device.set_precision(Precision::kBf16);
      CHECK(difference(gradient(device, which, dense), expected) < 0.02);
      device.set_precision(Precision::kFp32);
    }
}

TEST_CASE("cuda: a dense bias that spells out a relative one has its gradient, in bf16 too") {
  if (sizeof(real) == 8) return;
  Backend& device = open_backend("cuda");
  const int64_t T = 70, D = 8;
  const auto gradient = [&](const Tensor& bias) {
    const Shape shape{2, T, 1, D};
    const Tensor q = numbers(shape, 1, device), k = numbers(shape, 2, device),
                 v = numbers(shape, 3, device);
    Bias given;
    given.values = bias;
    Tape tape;
    device.set_precision(Precision::kBf16);
    tape.backward(attention(q, k, v, given, {}), numbers(shape, 5, device));
    device.set_precision(Precision::kFp32);
    return bias.grad_to_vector();
  };
  const Tensor relative = numbers({1, T}, 4, device).track();
  const std::vector<real> values = relative.to_vector();
  std::vector<real> spelt(T * T), sums(T);
  for (int64_t i = 0; i < T; ++i)
    for (int64_t j = 0; j <= i; ++j) spelt[i * T + j] = values[T - 1 - i + j];
  const auto dense = gradient(Tensor::from({1, T, T}, spelt, device).track());
  for (int64_t i = 0; i < T; ++i)
    for (int64_t j = 0; j <= i; ++j) sums[T - 1 - i + j] += dense[i * T + j];
  const double error = difference(sums, gradient(relative));
  CAPTURE(error);
  CHECK(error < 1e-3);
}

TEST_CASE("cuda: attention of tensors that are not aligned") {
  Backend& device = open_backend("cuda");
  const int64_t T = 40, H = 2, D = 8, n = T * H * D;
  const AttentionSizes sizes{1, T, T, H, D, 0, real(0.3), nullptr};
  // y, dq, dk, dv, and the mass by distance, where q, k, v and dy lie so many numbers behind an
  // aligned address.
  const auto results = [&](std::vector<int64_t> shifts) {
    std::vector<Tensor> in;
    std::vector<real*> x;
    for (const int64_t shift : shifts) {
      in.push_back(Tensor::full({n + shift}, 0, device));
      x.push_back(in.back().data() + shift);
      device.copy(x.back(), numbers({n}, x.size(), device).data(), n);
    }
    const Tensor y({n}, device), lse({H * T}, device), gradients = Tensor::full({3, n}, 0, device);
    real* const g = gradients.data();
    device.attention(y.data(), lse.data(), x[0], x[1], x[2], {}, sizes);
    device.attention_backward({g}, {g + n}, {g + 2 * n}, x[3], y.data(), lse.data(), x[0], x[1],
                              x[2], {}, sizes);
    const Tensor mass({H, T}, device), entropy({H}, device);
    device.attention_mass(mass.data(), entropy.data(), lse.data(), x[0], x[1], {}, sizes, 0);
    return std::vector{y.to_vector(), gradients.to_vector(), mass.to_vector()};
  };
  const auto expected = results({0, 0, 0, 0});
  for (size_t which = 0; which < 4; ++which) {
    std::vector<int64_t> shifts(4, 0);
    shifts[which] = 2;
    CHECK(results(shifts) == expected);
  }
}

TEST_CASE("cuda: attention of many shapes", "[.][full]") {
  for (const int64_t Tq : {1, 31, 33, 127, 129})
    for (const int64_t before : {0, 1, 63, 100})
      for (const int64_t D : {5, 32, 64, 72})
        for (const char bias : {'n', 'r', 'd'})
          check_cases({{1, Tq, Tq + before, 2, D, {0, 37}, bias}});
}

TEST_CASE("cuda: heads that are too wide are refused") {
  Backend& device = open_backend("cuda");
  const Tensor x = Tensor::full({1, 2, 1, 132}, 1, device);
  CHECK_THROWS_WITH(attention(x, x, x, {}, {}),
                    "heads of 132 are wider than the 128 that --device cuda computes; use more "
                    "heads or --device cpu");
}

TEST_CASE("cuda: rings remember, give back and attend as on the CPU") {
  struct Sizes {
    int64_t T, H, D;
  };
  // In one block for each head, and in three; more heads than a launch takes; wide ones.
  const auto [T, H, D] =
      GENERATE(Sizes{23, 3, 6}, Sizes{600, 3, 6}, Sizes{300, 67, 2}, Sizes{23, 2, 128});
  const int64_t B = 2;
  const int64_t capacities[] = {4, T + 17, 3 * T / 4};
  const auto results = [&, T = T, H = H, D = D](Backend& backend) {
    std::vector<Tensor> memory;
    std::vector<HeadCache> caches;
    for (int64_t h = 0; h < H; ++h) {
      const int64_t capacity = capacities[h % 3];
      memory.push_back(Tensor::full({2, B, capacity, D}, 0, backend));
      caches.push_back({memory.back().data(), memory.back().data() + B * capacity * D, capacity});
    }
    const Tensor k = numbers({B, T, H, D}, 1, backend), v = numbers({B, T, H, D}, 2, backend);
    const Tensor q = numbers({B, 1, H, D}, 3, backend);
    std::vector<real> biases = numbers({H * (T + 5)}, 4, backend).to_vector();
    for (int64_t i = T; i < H * (T + 5); i += 9) biases[i] = -std::numeric_limits<real>::infinity();
    biases[(H - 1) * (T + 5) + T + 4] = 0;  // the query sees itself at least
    const Tensor bias = Tensor::from({H, T + 5}, biases, backend);
    backend.cache_store(caches.data(), k.data(), v.data(), 5, B, T, H, D);
    std::vector<std::vector<real>> result;
    const Tensor past_k = Tensor::full({B, T, H, D}, 9, backend);
    const Tensor past_v = Tensor::full({B, T, H, D}, 9, backend);
    backend.cache_load(past_k.data(), past_v.data(), caches.data(), 7, 5 + T, B, T, H, D);
    const Tensor y({B, 1, H, D}, backend);
    BiasView view;
    view.base = bias.data();
    view.head_stride = T + 5;
    view.row_stride = -1;
    backend.cache_attention(y.data(), q.data(), caches.data(), view, 5 + T - 1, B, H, D);
    return std::vector{past_k.to_vector(), past_v.to_vector(), y.to_vector()};
  };
  const auto expected = results(cpu_backend()), got = results(open_backend("cuda"));
  CHECK(got[0] == expected[0]);
  CHECK(got[1] == expected[1]);
  CHECK(difference(got[2], expected[2]) < kRounding);
}

}  // namespace farsight
