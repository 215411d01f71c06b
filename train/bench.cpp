// Speed of whole steps: see bench.h.
#include "train/bench.h"

#include <cmath>
#include <map>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "train/log.h"
#include "train/profile_table.h"
#include "train/table.h"
#include "train/trainer.h"

namespace farsight {
namespace {

const std::map<std::string, BenchNumbers> kShapes{{"S", {4, 128, 4, 512, 128, 16}},
                                                  {"M", {6, 384, 6, 8192, 256, 8}},
                                                  {"L", {12, 768, 12, 50304, 512, 1}}};

}  // namespace

BenchNumbers numbers_of(const BenchOptions& options) {
  constexpr int64_t kLargest = int64_t{1} << 24;  // keeps products of them inside 64 bits
  check(options.steps > 0, "--steps must be positive, not ", options.steps);
  check(options.window == 0 || options.mode == "attention", "--window is of --mode attention");
  check(!options.recompute || options.mode == "train", "--recompute is of --mode train");
  if (options.numbers.empty()) {
    const auto found = kShapes.find(options.shape);
    check(found != kShapes.end(), "there is no shape '", options.shape, "'; use S, M, L, or ",
          "--numbers blocks,width,heads,vocabulary,T,B");
    return found->second;
  }
  BenchNumbers numbers{};
  std::istringstream stream(options.numbers);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const bool number = static_cast<bool>(stream >> numbers[i]);  // false if it is too large, too
    const bool separated = i + 1 < numbers.size() ? stream.get() == ',' : stream.peek() == EOF;
    check(number && separated && numbers[i] > 0, "--numbers takes six positive numbers, ",
          "blocks,width,heads,vocabulary,T,B, not '", options.numbers, "'");
    check(numbers[i] <= kLargest, "--numbers: ", numbers[i], " is more than ", kLargest);
  }
  check(numbers[4] * numbers[5] <= kLargest, "--numbers: T x B is more than ", kLargest, " tokens");
  return numbers;
}

namespace {

/// Random tokens of a vocabulary.
TokenSource random_tokens(int64_t vocabulary) {
  TokenSource source;
  source.name = "random tokens";
  source.size = 1 << 20;
  source.vocabulary = vocabulary;
  source.read = [stream = Stream{1, 1}, v = vocabulary](int64_t begin, std::span<int32_t> out) {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<int32_t>(stream.below(begin + i, v));
  };
  return source;
}

}  // namespace

StepBench bench_steps(const BenchOptions& options) {
  const auto [blocks, width, heads, vocabulary, T, B] = numbers_of(options);
  check(options.mode == "train" || options.mode == "eval", "--mode is train, eval, gemm or ",
        "attention, not '", options.mode, "'");
  Backend& backend = use_device(options.device);

  Config config;
  config.model.blocks = blocks;
  config.model.width = width;
  config.model.heads = heads;
  config.model.length = T;
  config.model.position = options.position;
  config.batch = B;
  config.rate = 1e-4;
  config.recompute = options.recompute;
  const TokenSource random = random_tokens(vocabulary);
  // Evaluation gets a model alone: a trainer's gradients and moments would count in its memory.
  std::optional<Trainer> trainer;
  std::optional<LanguageModel> model;
  if (options.mode == "train") {
    trainer.emplace(config, random, backend);
  } else {
    config.model.vocabulary = vocabulary;
    model.emplace(config.model, config.seed, backend);
  }
  const auto step = [&, T = T, B = B](int64_t index) {
    std::vector<int32_t> tokens(B * T), targets(B * T);
    random.read(index * B * T, tokens);
    random.read(index * B * T + 1, targets);
    if (trainer)
      trainer->step();
    else
      sum(model->losses(Ids(tokens, backend), Ids(targets, backend), B)).item();
  };

  StepBench result;
  step(0);  // fills the pool
  for (int64_t i = 1; i <= options.steps; ++i)
    result.seconds.push_back(seconds_of(backend, [&] { step(i); }));
  result.tokens = B * T;
  for (const Parameter& parameter : (model ? *model : trainer->model()).parameters())
    result.parameters += parameter.tensor.size();
  result.peak_mib = peak_mib(backend);  // before peaks are measured, which takes memory too
  {
    const Profile::Scope measured(result.profile, backend);
    step(options.steps + 1);
  }
  result.peaks = measure_peaks(backend);
  result.device = backend.description();
  return result;
}

nlohmann::json to_json(const StepBench& bench, const BenchOptions& options) {
  std::vector<double> seconds = bench.seconds;
  const double middle = median(seconds);
  double flops = 0, bytes = 0;
  for (const auto& [name, op] : bench.profile.ops()) {
    flops += op.forward.flops + op.backward.flops;
    bytes += op.forward.bytes + op.backward.bytes;
  }
  const auto tokens = static_cast<double>(bench.tokens);
  const auto rounded = [](double value) { return std::round(10 * value) / 10; };
  return {{"name", "farsight"},
          {"shape", options.numbers.empty() ? options.shape : options.numbers},
          {"mode", options.mode},
          {"device", bench.device},
          {"precision", options.device.precision},
          {"position", options.position},
          {"tokens_per_second", rounded(tokens / middle)},
          {"slowest", rounded(tokens / seconds.back())},
          {"fastest", rounded(tokens / seconds.front())},
          {"gflops", rounded(flops / middle / 1e9)},
          {"gflops_of_gemm", rounded(bench.peaks.flops / 1e9)},
          {"gbytes", rounded(bytes / middle / 1e9)},
          {"gbytes_of_copy", rounded(bench.peaks.bytes / 1e9)},
          {"peak_mib", bench.peak_mib},
          {"parameters", bench.parameters},
          {"ops", to_json(bench.profile)}};
}

std::string text_of(const StepBench& bench, const BenchOptions& options) {
  const nlohmann::json result = to_json(bench, options);
  const auto value = [&](const char* name) { return result.at(name).get<double>(); };
  const auto share = [&](const char* of, const char* peak) {
    return fixed(100 * value(of) / value(peak), 0) + "% of " + fixed(value(peak), 0);
  };
  std::ostringstream text;
  text << bench.device << ", " << options.device.precision << ", " << options.mode << " "
       << result.at("shape").get<std::string>() << ", " << short_number(value("parameters"))
       << " parameters\n"
       << "speed    " << short_number(value("tokens_per_second")) << " tokens/s (median of "
       << bench.seconds.size() << " steps, " << short_number(value("slowest")) << " to "
       << short_number(value("fastest")) << ")\n"
       << "compute  " << fixed(value("gflops"), 0) << " GFLOP/s in matrix products, "
       << share("gflops", "gflops_of_gemm") << " that a large one reaches\n"
       << "memory   " << fixed(value("gbytes"), 1) << " GB/s of tensors and gradients, "
       << share("gbytes", "gbytes_of_copy") << " that a copy reaches; peak " << bench.peak_mib
       << " MiB\n\nOne more step, op by op:\n\n"
       << profile_table(bench.profile, bench.peaks);
  return text.str();
}

}  // namespace farsight
