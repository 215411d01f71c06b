// Every kernel under several orders of its threads: the same bits each time. A missing barrier, or
// a sum whose order is left to chance, shows here. Sizes give each kernel at least two blocks, two
// tiles and three steps of its inner loop.
#include "core/attention.h"
#include "core/ops.h"
#include "core/tape.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"
#include "tests/cuda_emulator/emulator.h"

namespace farsight {
namespace {

void append(std::vector<real>& to, const std::vector<real>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<Precision> precisions() {
  if (sizeof(real) == 8) return {Precision::kFp32};
  return {Precision::kFp32, Precision::kTf32, Precision::kBf16};
}

}  // namespace

TEST_CASE("cuda: products are the same in every order of threads") {
  Backend& device = open_backend("cuda");
  const int64_t M = 70, N = 66, K = 100;
  const Tensor a = numbers({M, K}, 1, device), b = numbers({N, K}, 2, device);
  for (const Precision precision : precisions()) {
    for (const bool ta : {false, true}) {
      emulator::for_every_order([&] {
        device.set_precision(precision);
        const Tensor c({M, N}, device);
        device.gemm(c.data(), a.data(), b.data(), ta, !ta, M, N, K, 1, 0);
        device.set_precision(Precision::kFp32);
        return c.to_vector();
      });
    }
  }
}

TEST_CASE("cuda: attention is the same in every order of threads") {
  Backend& device = open_backend("cuda");
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    if (sizeof(real) == 8 && precision != Precision::kFp32) continue;
    for (const bool dense : {false, true}) {
      const int64_t B = 2, T = 140, D = 8;
      const Tensor q = numbers({B, T, 1, D}, 1, device).track(),
                   k = numbers({B, T, 1, D}, 2, device).track(),
                   v = numbers({B, T, 1, D}, 3, device).track();
      Bias bias;
      bias.values = numbers(dense ? Shape{1, T, T} : Shape{1, T}, 4, device).track();
      const Tensor covector = numbers({B, T, 1, D}, 5, device);
      emulator::for_every_order([&] {
        device.set_precision(precision);
        for (const Tensor& x : {q, k, v, bias.values}) device.fill(x.grad(), 0, x.size());
        std::vector<real> results;
        {
          Tape tape;
          const Tensor y = attention(q, k, v, bias, {});
          append(results, y.to_vector());
          tape.backward(y, covector);
        }
        for (const Tensor& x : {q, k, v, bias.values}) append(results, x.grad_to_vector());
        const AttentionMass mass = attention_mass(q, k, bias, {}, 3);
        append(results, mass.mass.to_vector());
        append(results, mass.entropy.to_vector());
        device.set_precision(Precision::kFp32);
        return results;
      });
    }
  }
}

TEST_CASE("cuda: rows, losses and sums are the same in every order of threads") {
  Backend& device = open_backend("cuda");
  const int64_t N = 300, C = 70;
  const Tensor x = numbers({N, C}, 1, device).track(), gain = numbers({C}, 2, device).track(),
               shift = numbers({C}, 3, device).track(), table = numbers({90, C}, 4, device).track();
  const Tensor weight = numbers({600, C}, 5, device).track();
  std::vector<int32_t> ids(N);
  for (int64_t i = 0; i < N; ++i) ids[i] = static_cast<int32_t>(i * i % 90);
  const Ids tokens(ids, device);
  emulator::for_every_order([&] {
    for (const Tensor& t : {x, gain, shift, table, weight}) device.fill(t.grad(), 0, t.size());
    std::vector<real> results;
    {
      Tape tape;
      const Tensor h = layer_norm(add(x, embedding(table, tokens)), gain, shift);
      const Tensor losses =
          cross_entropy(gelu(linear(h, numbers({C, C}, 6, device), shift)), weight, tokens);
      append(results, losses.to_vector());
      tape.backward(sum(losses));
    }
    for (const Tensor& t : {x, gain, shift, table, weight}) append(results, t.grad_to_vector());
    const Tensor square(Shape{}, device);
    device.sum_squares(square.data(), x.data(), x.size());
    append(results, square.to_vector());
    return results;
  });
}

TEST_CASE("cuda: very many rows are repeated, and summed the same in every order of blocks") {
  Backend& device = open_backend("cuda");
  const Tensor one = Tensor::full({1}, 1, device), rows({70000, 1}, device);
  device.broadcast_rows(rows.data(), one.data(), 70000, 1);  // more than a grid has
  CHECK(rows.to_vector() == std::vector<real>(70000, 1));
  const int64_t N = 17000;  // strips of strips of strips
  const Tensor x = numbers({N}, 1, device);
  emulator::for_every_order([&] {
    const Tensor y = Tensor::full({1}, 0, device);
    device.broadcast_rows_backward(y.data(), x.data(), N, 1);
    return y.to_vector();
  });
}

TEST_CASE("cuda: attention from rings is the same in every order of threads") {
  Backend& device = open_backend("cuda");
  const int64_t T = 300, D = 40, capacity = 287;  // two blocks, which are joined
  const Tensor k = numbers({1, T, 1, D}, 1, device), v = numbers({1, T, 1, D}, 2, device),
               q = numbers({1, 1, 1, D}, 3, device);
  const Tensor ring = Tensor::full({2, capacity, D}, 0, device);
  const HeadCache cache{ring.data(), ring.data() + capacity * D, capacity};
  emulator::for_every_order([&] {
    device.cache_store(&cache, k.data(), v.data(), 0, 1, T, 1, D);
    const Tensor y({1, 1, 1, D}, device);
    device.cache_attention(y.data(), q.data(), &cache, {}, T - 1, 1, 1, D);
    return y.to_vector();
  });
}

}  // namespace farsight
