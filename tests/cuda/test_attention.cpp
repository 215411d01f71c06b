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
  char bias;  // 'n'one, 'r'elative, 'd'ense
};

/// Output, gradients of q, k, v and the bias, mass and entropy.
std::vector<std::vector<real>> results_of(const Case& c, Backend& backend) {
  const Tensor q = numbers({c.B, c.Tq, c.H, c.D}, 1, backend).track();
  const Tensor k = numbers({c.B, c.Tk, c.H, c.D}, 2, backend).track();
  const Tensor v = numbers({c.B, c.Tk, c.H, c.D}, 3, backend).track();
  Bias bias;
  if (c.bias == 'r') bias.values = numbers({c.H, c.Tk + 3}, 4, backend).track();
  if (c.bias == 'd') bias.values = numbers({c.H, c.Tq, c.Tk}, 4, backend).track();
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
        // bf16 keeps 8 bits of each factor, which shows in sums of D products of normal numbers.
        const double allowed = precision == Precision::kFp32
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
  check_cases({{1, 130, 130, 3, 4, {1, 17, 100}, 'r'},
               {1, 40, 140, 2, 4, {33, 0}, 'n'},
               {2, 70, 70, 2, 4, {64, 5}, 'd'}});
}

TEST_CASE("cuda: attention of every head width") {
  check_cases({{1, 35, 35, 2, 32, {}, 'r'},
               {1, 66, 66, 1, 40, {}, 'r'},
               {1, 33, 70, 1, 64, {9}, 'd'},
               {1, 40, 40, 1, 96, {}, 'n'},
               {1, 34, 34, 1, 128, {}, 'r'}});
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
  const int64_t T = GENERATE(23, 600);  // in one block for each head, and in three
  const int64_t B = 2, H = 3, D = 6;
  const int64_t capacities[] = {4, T + 17, 3 * T / 4};
  const auto results = [&](Backend& backend) {
    std::vector<Tensor> memory;
    std::vector<HeadCache> caches;
    for (const int64_t capacity : capacities) {
      memory.push_back(Tensor::full({2, B, capacity, D}, 0, backend));
      caches.push_back({memory.back().data(), memory.back().data() + B * capacity * D, capacity});
    }
    const Tensor k = numbers({B, T, H, D}, 1, backend), v = numbers({B, T, H, D}, 2, backend);
    const Tensor q = numbers({B, 1, H, D}, 3, backend), bias = numbers({H, T + 5}, 4, backend);
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
