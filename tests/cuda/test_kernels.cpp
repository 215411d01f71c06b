// Kernels called directly, against the CPU's, in sizes beyond one warp, one block and one strip, on
// addresses that are not aligned, and with outputs that nobody wants.
#include <limits>

#include "tests/catch.h"
#include "tests/cuda/compare.h"

namespace farsight {
namespace {

using Arrays = std::vector<std::vector<real>>;

/// Normal numbers for arrays of these sizes.
Arrays arrays_of(const std::vector<int64_t>& sizes) {
  Arrays arrays;
  for (const int64_t n : sizes)
    arrays.push_back(numbers({n}, arrays.size() + 1, cpu_backend()).to_vector());
  return arrays;
}

/// What f(backend, their addresses) makes of the arrays, of which one (-1: none) lies behind an
/// aligned address.
template <class F>
Arrays after(Backend& backend, Arrays arrays, int displaced, const F& f) {
  std::vector<Tensor> memory;
  std::vector<real*> x;
  const auto shift_of = [=](int i) { return i == displaced ? 1 + i % 3 : 0; };
  for (std::vector<real>& values : arrays) {
    const int shift = shift_of(static_cast<int>(x.size()));
    values.insert(values.begin(), shift, 0);
    memory.push_back(Tensor::from({static_cast<int64_t>(values.size())}, values, backend));
    x.push_back(memory.back().data() + shift);
  }
  f(backend, x);
  for (size_t i = 0; i < arrays.size(); ++i) {
    arrays[i] = memory[i].to_vector();
    arrays[i].erase(arrays[i].begin(), arrays[i].begin() + shift_of(static_cast<int>(i)));
  }
  return arrays;
}

/// Checks that f makes the same of the arrays as on the CPU; `anywhere`: wherever they lie.
template <class F>
void check_same(bool anywhere, const Arrays& arrays, const F& f) {
  const Arrays expected = after(cpu_backend(), arrays, -1, f);
  const int last = anywhere ? static_cast<int>(arrays.size()) - 1 : -1;
  for (int displaced = -1; displaced <= last; ++displaced) {
    const Arrays got = after(open_backend("cuda"), arrays, displaced, f);
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("array " << i << ", where " << displaced << " is not aligned");
      CHECK(difference(got[i], expected[i]) < kRounding);
    }
  }
}

}  // namespace

TEST_CASE("cuda: elementwise kernels of several blocks, aligned or not") {
  const int64_t n = 3001;
  check_same(true, arrays_of({n, n, n, n, n, n, n}), [=](Backend& b, const std::vector<real*>& x) {
    b.fill(x[0], 0, 10);  // where a derivative may jump
    b.add(x[2], x[0], x[1], n);
    b.accumulate(x[3], x[2], real(-0.3), n);
    b.multiply_accumulate(x[3], x[0], x[1], n);
    b.scale(x[4], x[3], real(1.7), n);
    b.dropout(x[5], x[4], real(0.3), {5, 6}, n);
    b.dropout_backward(x[6], x[0], real(0.4), {7, 8}, n);
    b.map(Map::kRelu, x[1], x[0], n);
    b.map_backward(Map::kRelu, {x[6]}, x[4], x[0], n);
    b.map_backward(Map::kRelu, {x[2], 0}, x[2], x[0], n);
    b.copy(x[4], x[6], n);
  });
}

TEST_CASE("cuda: layer norm of many wide rows, and of its gradients only one") {
  const int64_t N = 600, C = 70;
  Arrays arrays = arrays_of({N * C, C, C, N * C, N, N, N * C, C, C, C, C});
  for (real& x : arrays[0]) x += 100;  // whose squares would cancel
  check_same(false, arrays, [=](Backend& b, const std::vector<real*>& x) {
    b.layer_norm(x[3], x[4], x[5], nullptr, x[0], x[1], x[2], N, C, real(1e-5));
    b.layer_norm_backward(x[6], x[7], x[8], x[3], x[0], x[1], x[4], x[5], N, C);
    b.layer_norm_backward(nullptr, x[9], nullptr, x[3], x[0], x[1], x[4], x[5], N, C);
    b.layer_norm_backward(nullptr, nullptr, x[10], x[3], x[0], x[1], x[4], x[5], N, C);
  });
}

TEST_CASE("cuda: losses of a large vocabulary and large logits") {
  const int64_t N = 5, V = 700;
  Arrays arrays = arrays_of({N * V, N, N, N, N});
  for (real& x : arrays[0]) x *= 20;
  arrays[0][0] = 300;  // the first target's, which is the largest
  check_same(false, arrays, [=](Backend& b, const std::vector<real*>& x) {
    const Ids targets(std::vector<int32_t>{0, 300, 699, 511, 130}, b);
    b.cross_entropy(x[1], x[2], x[3], x[0], targets.data(), N, V);
    b.cross_entropy_gradient(x[0], nullptr, x[4], x[2], targets.data(), N, V);
  });
}

TEST_CASE("cuda: wide embeddings, many rows, many pairs") {
  for (const int64_t C : {150, 264}) {
    const int64_t N = 40, V = 300;
    check_same(true, arrays_of({V * C, N * C, V * C}),
               [=](Backend& b, const std::vector<real*>& x) {
                 std::vector<int32_t> ids(N);
                 for (int64_t i = 0; i < N; ++i)
                   ids[i] = static_cast<int32_t>((299 - i * i % 300) % V);
                 const Ids tokens(ids, b);
                 b.embedding(x[1], x[0], tokens.data(), N, C);
                 b.embedding_backward(x[2], x[1], tokens.data(), N, V, C);
               });
  }
  // Sums of strips of strips.
  check_same(false, arrays_of({2, 17000 * 2}), [](Backend& b, const std::vector<real*>& x) {
    b.broadcast_rows_backward(x[0], x[1], 17000, 2);
  });
  const int64_t B = 2, T = 3, H = 9, D = 40;
  for (const PairLayout layout : {PairLayout::kInterleaved, PairLayout::kHalves})
    check_same(false, arrays_of({B * T * H * D, B * T * H * D, T * D, B * T * H * D}),
               [=](Backend& b, const std::vector<real*>& x) {
                 b.rotate(x[1], x[0], x[2], layout, B, T, H, D);
                 b.rotate_backward({x[3]}, x[1], x[2], layout, B, T, H, D);
               });
}

TEST_CASE("cuda: sums of many blocks") {
  const int64_t n = 1100000;
  check_same(false, arrays_of({n, 1}),
             [=](Backend& b, const std::vector<real*>& x) { b.sum_squares(x[1], x[0], n); });
}

TEST_CASE("cuda: AdamW clips, decays, and leaves all as it was if the norm is not finite") {
  constexpr real kInfinity = std::numeric_limits<real>::infinity();
  const int64_t n = 1027;
  for (const real norm_squared :
       {real(0.25), real(4), kInfinity, std::numeric_limits<real>::quiet_NaN()})
    for (const real max_norm : {0, 1}) {
      INFO("norm squared " << norm_squared << ", at most " << max_norm);
      Arrays arrays = arrays_of({n, n, n, n});
      for (real& v : arrays[2]) v *= v;
      check_same(true, arrays, [=](Backend& b, const std::vector<real*>& x) {
        const Tensor norm = Tensor::full({1}, norm_squared, b);
        b.adamw(x[0], x[1], x[2], x[3], norm.data(), n,
                {real(0.1), real(0.9), real(0.99), real(0.01), real(0.2), real(0.3), real(0.05),
                 max_norm});
      });
    }
}

}  // namespace farsight
