// Speed of single kernels: see bench.h.
#include <cmath>

#include "core/attention.h"
#include "core/error.h"
#include "core/tape.h"
#include "train/bench.h"
#include "train/log.h"

namespace farsight {
namespace {

/// Standard normal numbers, others at each call.
Tensor random_tensor(const Shape& shape, Backend& backend) {
  static uint64_t calls = 0;
  const Stream stream{1, ++calls};
  std::vector<real> values(shape.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<real>(stream.normal(i));
  return Tensor::from(shape, values, backend);
}

/// Median of the seconds that `time` says, after one that does not count.
template <class Time>
double median_seconds(const BenchOptions& options, const Time& time) {
  time();
  std::vector<double> seconds;
  for (int64_t i = 0; i < options.steps; ++i) seconds.push_back(time());
  return median(seconds);
}

double rounded(double value) { return std::round(10 * value) / 10; }

}  // namespace

nlohmann::ordered_json bench_gemm(const BenchOptions& options) {
  const auto [blocks, width, heads, vocabulary, T, B] = numbers_of(options);
  Backend& backend = use_device(options.device);
  const int64_t rows = B * T;
  struct Layer {
    const char* name;
    int64_t out, in;
  };
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const auto& [name, out, in] : {Layer{"query, key, value, output", width, width},
                                      {"feed-forward, up", 4 * width, width},
                                      {"feed-forward, down", width, 4 * width},
                                      {"output projection", vocabulary, width}}) {
    const Tensor x = random_tensor({rows, in}, backend), weight = random_tensor({out, in}, backend),
                 y = random_tensor({rows, out}, backend);
    const auto speed = [&, out = out, in = in](const auto& f) {
      const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(out * in);
      return rounded(flops / median_seconds(options, [&] { return seconds_of(backend, f); }) / 1e9);
    };
    lines.push_back(
        {{"layer", name},
         {"rows", rows},
         {"out", out},
         {"in", in},
         {"forward_gflops", speed([&, out = out, in = in] {
            backend.gemm(y.data(), x.data(), weight.data(), false, true, rows, out, in, 1, 0);
          })},
         {"input_gradient_gflops", speed([&, out = out, in = in] {
            backend.gemm(x.data(), y.data(), weight.data(), false, false, rows, in, out, 1, 0);
          })},
         {"weight_gradient_gflops", speed([&, out = out, in = in] {
            // Added to what is there, as in training.
            backend.gemm(weight.data(), y.data(), x.data(), true, false, out, in, rows, 1, 1);
          })}});
  }
  return lines;
}

nlohmann::ordered_json bench_attention(const BenchOptions& options) {
  const BenchNumbers numbers = numbers_of(options);
  const int64_t width = numbers[1], heads = numbers[2], D = width / heads;
  check(width % heads == 0, "heads = ", heads, " does not divide width = ", width);
  check(options.window >= 0 && options.window <= INT32_MAX, "--window must be 0 to ", INT32_MAX,
        " tokens, not ", options.window);
  Backend& backend = use_device(options.device);
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const int64_t length : options.lengths) {
    check(length > 0, "--lengths must be positive, not ", length);
    const auto position = make_position(options.position, {width, heads, length, {}, &backend});
    position->initialize(1);
    const Shape shape{1, length, heads, D};
    const Tensor q = random_tensor(shape, backend), k = random_tensor(shape, backend),
                 v = random_tensor(shape, backend), dy = random_tensor(shape, backend);
    for (const Tensor& x : {q, k, v}) x.track();
    const Bias bias = position->bias({0, length});
    const Ids windows =
        options.window ? Ids(std::vector<int32_t>(heads, options.window), backend) : Ids();
    Profile profile;
    const bool backward = length <= options.backward_to;
    const double forward = median_seconds(options, [&] {
      const Tape tape;
      return seconds_of(backend, [&] { attention(q, k, v, bias, windows); });
    });
    double back = 0;
    if (backward)
      back = median_seconds(options, [&] {
        Tape tape;
        const Tensor y = attention(q, k, v, bias, windows);
        return seconds_of(backend, [&] { tape.backward(y, dy); });
      });
    {
      const Profile::Scope measured(profile, backend);
      Tape tape;
      const Tensor y = attention(q, k, v, bias, windows);
      if (backward) tape.backward(y, dy);
    }
    const Profile::Op& counted = profile.ops().at("attention");
    nlohmann::ordered_json line{{"length", length},
                                {"forward_ms", 1e3 * forward},
                                {"forward_gflops", rounded(counted.forward.flops / forward / 1e9)}};
    if (backward) {
      line["backward_ms"] = 1e3 * back;
      line["backward_gflops"] = rounded(counted.backward.flops / back / 1e9);
    }
    line["peak_mib"] = peak_mib(backend);
    lines.push_back(std::move(line));
  }
  // Last, since it takes memory.
  const double peak = rounded(measure_peaks(backend).flops / 1e9);
  for (nlohmann::ordered_json& line : lines) line["gflops_of_gemm"] = peak;
  return lines;
}

}  // namespace farsight
