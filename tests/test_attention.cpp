// Fused attention against a plain composition of its parts, over awkward sizes.
#include <cmath>

#include "core/attention.h"
#include "core/tape.h"
#include "nn/position.h"
#include "tests/catch.h"
#include "tests/op_cases.h"
#include "train/log.h"

namespace farsight {
namespace {

/// softmax(q kᵀ / sqrt(D) + bias) v, one query at a time, in double.
std::vector<double> reference(const Tensor& q, const Tensor& k, const Tensor& v, const Bias& bias,
                              const std::vector<int32_t>& windows) {
  const int64_t B = q.shape()[0], Tq = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  const int64_t Tk = k.shape()[1];
  const auto qs = q.to_vector(), ks = k.to_vector(), vs = v.to_vector();
  const auto biases = bias.values.defined() ? bias.values.to_vector() : std::vector<real>();
  const bool dense = bias.values.defined() && bias.values.shape().rank() == 3;
  std::vector<double> result(q.size());
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t i = 0; i < Tq; ++i) {
        const int64_t p = Tk - Tq + i;
        const int64_t w = windows.empty() || !windows[h] ? Tk : windows[h];
        double total = 0;
        std::vector<double> mixed(D);
        for (int64_t j = std::max<int64_t>(0, p - w + 1); j <= p; ++j) {
          double score = 0;
          for (int64_t d = 0; d < D; ++d)
            score += qs[((b * Tq + i) * H + h) * D + d] * ks[((b * Tk + j) * H + h) * D + d];
          score /= std::sqrt(static_cast<double>(D));
          if (dense)
            score += biases[(h * Tq + i) * Tk + j];
          else if (!biases.empty())
            score += biases[(h + 1) * bias.values.shape()[1] - 1 - (p - j)];
          const double weight = std::exp(score);
          total += weight;
          for (int64_t d = 0; d < D; ++d) mixed[d] += weight * vs[((b * Tk + j) * H + h) * D + d];
        }
        for (int64_t d = 0; d < D; ++d) result[((b * Tq + i) * H + h) * D + d] = mixed[d] / total;
      }
    }
  }
  return result;
}

/// The probabilities of reference() by distance, and their entropy, summed over the queries from
/// `first` on: (H, Tk) and (H).
std::pair<std::vector<double>, std::vector<double>> reference_mass(
    const Tensor& q, const Tensor& k, const Bias& bias, const std::vector<int32_t>& windows,
    int64_t first) {
  const int64_t B = q.shape()[0], Tq = q.shape()[1], H = q.shape()[2], D = q.shape()[3];
  const int64_t Tk = k.shape()[1];
  std::vector<double> mass(H * Tk), entropy(H);
  for (int64_t j = 0; j < Tk; ++j) {
    // With v = 1 for key j and 0 for others, y holds the probability of key j.
    std::vector<real> v(k.size(), 0);
    for (int64_t b = 0; b < B; ++b)
      for (int64_t h = 0; h < H; ++h) v[((b * Tk + j) * H + h) * D] = 1;
    const auto y = reference(q, k, Tensor::from(k.shape(), v, cpu_backend()), bias, windows);
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t i = std::max(first, j - (Tk - Tq)); i < Tq; ++i) {
        for (int64_t h = 0; h < H; ++h) {
          const double p = y[((b * Tq + i) * H + h) * D];
          mass[h * Tk + Tk - Tq + i - j] += p;
          if (p > 0) entropy[h] -= p * std::log(p);
        }
      }
    }
  }
  return {mass, entropy};
}

double largest_difference(const Tensor& a, const std::vector<double>& b) {
  const auto values = a.to_vector();
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i)
    largest = std::max(largest, std::fabs(values[i] - b[i]));
  return largest;
}

Tensor random(const Shape& shape) { return random_tensor(shape, cpu_backend(), false); }

}  // namespace

TEST_CASE("attention agrees with its composition at awkward sizes") {
  for (const int64_t T : {1, 2, 31, 64, 65, 127, 129, 300}) {
    for (const int64_t Tq : {T, (T + 1) / 2}) {
      for (const int window : {0, 1, 7, 100}) {
        for (const Shape& bias_shape : {Shape{}, Shape{2, T}, Shape{2, T + 3}, Shape{2, Tq, T}}) {
          const Tensor q = random({2, Tq, 2, 5}), k = random({2, T, 2, 5}),
                       v = random({2, T, 2, 5});
          const Bias bias{bias_shape.rank() ? random(bias_shape) : Tensor()};
          const std::vector<int32_t> windows{window, 0};
          const Tensor y = attention(q, k, v, bias, Ids(windows, cpu_backend()));
          INFO("T " << T << ", Tq " << Tq << ", window " << window << ", bias " << bias_shape);
          CHECK(largest_difference(y, reference(q, k, v, bias, windows)) < 2e-5);
        }
      }
    }
  }
}

TEST_CASE("every scheme's attention agrees with its composition") {
  const int64_t T = 150, H = 3, D = 8;
  for (const PositionEntry* entry : PositionEntry::all()) {
    const auto scheme = make_position(entry->name, {H * D, H, T, {}, &cpu_backend()});
    scheme->initialize(1);
    Tensor q = random({1, T, H, D}), k = random({1, T, H, D});
    const Tensor v = random({1, T, H, D});
    scheme->rotate(q, k, {0, T});
    const Bias bias = scheme->bias({0, T});
    INFO(entry->name);
    CHECK(largest_difference(attention(q, k, v, bias), reference(q, k, v, bias, {})) < 2e-5);
  }
}

TEST_CASE("attention by distance agrees with its composition") {
  for (const int64_t T : {1, 5, 70, 140}) {
    for (const int64_t Tq : {T, (T + 1) / 2}) {
      for (const int window : {0, 3}) {
        const Tensor q = random({2, Tq, 2, 3}), k = random({2, T, 2, 3});
        const Bias bias{random({2, T})};
        const std::vector<int32_t> windows{window, 0};
        const int64_t first = Tq / 3;
        const AttentionMass mass = attention_mass(q, k, bias, Ids(windows, cpu_backend()), first);
        INFO("T " << T << ", Tq " << Tq << ", window " << window);
        const auto [by_distance, entropy] = reference_mass(q, k, bias, windows, first);
        CHECK(largest_difference(mass.mass, by_distance) < 1e-4);
        CHECK(largest_difference(mass.entropy, entropy) < 1e-3);
      }
    }
  }
}

TEST_CASE("rotated scores depend on distance alone") {
  const int64_t T = 40, D = 8;
  for (const double halves : {0.0, 1.0}) {
    const auto rotary =
        make_position("rotary", {D, 1, T, {{"rotary-halves", halves}}, &cpu_backend()});
    // The same query and key at every position.
    std::vector<real> row = random({D}).to_vector(), q_values, k_values;
    for (int64_t t = 0; t < T; ++t) {
      q_values.insert(q_values.end(), row.begin(), row.end());
      k_values.insert(k_values.end(), row.rbegin(), row.rend());
    }
    Tensor q = Tensor::from({1, T, 1, D}, q_values, cpu_backend());
    Tensor k = Tensor::from({1, T, 1, D}, k_values, cpu_backend());
    rotary->rotate(q, k, {0, T});
    const auto qs = q.to_vector(), ks = k.to_vector();
    const auto score = [&](int64_t i, int64_t j) {
      double total = 0;
      for (int64_t d = 0; d < D; ++d) total += qs[i * D + d] * ks[j * D + d];
      return total;
    };
    for (int64_t i = 7; i < T; ++i) CHECK(score(i, i - 7) == Approx(score(7, 0)).margin(1e-4));
    CHECK(score(7, 0) != Approx(score(8, 0)).margin(1e-4));
  }
}

TEST_CASE("attention's memory grows with the length, not with its square") {
  const auto held = [](int64_t T) {
    Pool& pool = cpu_backend().pool();
    pool.trim();
    const size_t before = pool.held_bytes();
    {
      const Tensor q = random({1, T, 2, 8}).track();
      Tape tape;
      const Tensor y = attention(q, q, q);
      tape.backward(y, y);
    }
    const size_t used = pool.held_bytes() - before;
    pool.trim();
    return used;
  };
  CHECK(held(4096) < 5 * held(1024));
}

TEST_CASE("attention needs no memory of the length's square outside the pool either") {
  // What kernels take for themselves shows in the process's peak alone, which nothing before this
  // file's tests has raised far. For one head a square of floats would be 256 MiB, one of bytes 64
  // MiB; all tensors together are below 8 MiB.
  const int64_t T = 8192;
  const auto before = peak_mib(cpu_backend());
  {
    const Tensor q = random({1, T, 2, 4}).track();
    Tape tape;
    const Tensor y = attention(q, q, q);
    tape.backward(y, y);
  }
  cpu_backend().pool().trim();
  CHECK(peak_mib(cpu_backend()) - before < 32);
}

TEST_CASE("attention refuses shapes that do not fit") {
  CHECK_THROWS_AS(attention(random({1, 4, 2, 3}), random({1, 4, 2, 5}), random({1, 4, 2, 5})),
                  Error);
  CHECK_THROWS_AS(attention(random({1, 5, 2, 3}), random({1, 4, 2, 3}), random({1, 4, 2, 3})),
                  Error);
  const Tensor x = random({1, 4, 2, 3});
  CHECK_THROWS_AS(attention(x, x, x, {random({3, 4})}), Error);
  CHECK_THROWS_AS(attention(x, x, x, {}, Ids(std::vector<int32_t>{1, 2, 3}, cpu_backend())), Error);
}

}  // namespace farsight
