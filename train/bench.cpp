// Speed of whole steps: see bench.h.
#include "train/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "train/log.h"
#include "train/trainer.h"

namespace farsight {
namespace {

/// blocks, width, heads, vocabulary, T, B
using Numbers = std::array<int64_t, 6>;

const std::map<std::string, Numbers> kShapes{{"S", {4, 128, 4, 512, 128, 16}},
                                             {"M", {6, 384, 6, 8192, 256, 8}},
                                             {"L", {12, 768, 12, 50304, 512, 1}}};

Numbers numbers_of(const BenchOptions& options) {
  if (options.numbers.empty()) {
    const auto found = kShapes.find(options.shape);
    check(found != kShapes.end(), "there is no shape '", options.shape, "'; use S, M, L, or ",
          "--numbers blocks,width,heads,vocabulary,T,B");
    return found->second;
  }
  Numbers numbers{};
  std::istringstream stream(options.numbers);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const bool number = static_cast<bool>(stream >> numbers[i]);  // false if it is too large, too
    const bool separated = i + 1 < numbers.size() ? stream.get() == ',' : stream.peek() == EOF;
    check(number && separated && numbers[i] > 0, "--numbers takes six positive numbers, ",
          "blocks,width,heads,vocabulary,T,B, not '", options.numbers, "'");
  }
  return numbers;
}

}  // namespace

nlohmann::json bench(const BenchOptions& options) {
  const auto [blocks, width, heads, vocabulary, T, B] = numbers_of(options);
  check(options.mode == "train" || options.mode == "eval", "--mode is train or eval, not '",
        options.mode, "'");
  check(options.steps > 0, "--steps must be positive, not ", options.steps);
  Backend& backend = use_device(options.device);

  Config config;
  config.model.blocks = blocks;
  config.model.width = width;
  config.model.heads = heads;
  config.model.length = T;
  config.model.position = options.position;
  config.batch = B;
  config.rate = 1e-4;
  TokenSource random;
  random.name = "random tokens";
  random.size = 1 << 20;
  random.vocabulary = vocabulary;
  random.read = [stream = Stream{1, 1}, v = vocabulary](int64_t begin, std::span<int32_t> out) {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<int32_t>(stream.below(begin + i, v));
  };
  // Evaluation gets a model alone: a trainer's gradients and moments would count in its memory.
  std::optional<Trainer> trainer;
  std::optional<LanguageModel> model;
  if (options.mode == "train") {
    trainer.emplace(config, random, backend);
  } else {
    config.model.vocabulary = vocabulary;
    model.emplace(config.model, config.seed, backend);
  }

  std::vector<int32_t> tokens(B * T), targets(B * T);
  std::vector<double> seconds;
  for (int64_t step = 0; step <= options.steps; ++step) {
    random.read(step * B * T, tokens);
    random.read(step * B * T + 1, targets);
    const auto start = std::chrono::steady_clock::now();
    if (trainer)
      trainer->step();
    else
      sum(model->losses(Ids(tokens, backend), Ids(targets, backend), B)).item();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  seconds.erase(seconds.begin());  // the first step fills the pool
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  const double median = (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
  int64_t parameters = 0;
  for (const Parameter& parameter : (model ? *model : trainer->model()).parameters())
    parameters += parameter.tensor.size();
  return {{"name", "farsight"},
          {"shape", options.numbers.empty() ? options.shape : options.numbers},
          {"mode", options.mode},
          {"device", backend.description()},
          {"precision", options.device.precision},
          {"position", options.position},
          {"tokens_per_second", std::round(10 * B * T / median) / 10},
          {"peak_mib", peak_mib()},
          {"parameters", parameters}};
}

}  // namespace farsight
