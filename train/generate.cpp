// Generating text: see generate.h.
#include "train/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/random.h"
#include "train/memory.h"

namespace farsight {
namespace {

constexpr uint64_t kSampleStream = 2;

/// A long prompt goes in by pieces, so that its activations take bounded memory.
constexpr size_t kPromptChunk = 2048;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void add_generate_options(CLI::App& app, GenerateOptions& options) {
  app.add_option("--tokens", options.tokens, "tokens to generate")->capture_default_str();
  app.add_option("--temperature", options.temperature,
                 "above 1: more surprising; below: less; 0: always the likeliest")
      ->capture_default_str();
  app.add_option("--top-k", options.top_k, "draw from the k likeliest tokens; 0 = all")
      ->capture_default_str();
  app.add_option("--top-p", options.top_p,
                 "draw from the fewest tokens that hold this much probability")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the draws")->capture_default_str();
}

int32_t draw_token(const std::vector<real>& logits, const GenerateOptions& options, int64_t index) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  // Of equal scores the smaller id goes first, so that the order is the same everywhere.
  const auto likelier = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  for (const real logit : logits)
    check(std::isfinite(logit), "a score of the model is ", logit,
          "; its parameters are damaged: use another checkpoint");
  const auto best = *std::min_element(order.begin(), order.end(), likelier);
  if (options.temperature == 0) return best;
  size_t kept = order.size();
  if (options.top_k > 0) kept = std::min<size_t>(kept, options.top_k);
  if (kept < order.size() || options.top_p < 1) {
    std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(kept), order.end(),
                      likelier);
    order.resize(kept);
  }
  std::vector<double> weights;
  double total = 0;
  for (const int32_t token : order) {
    weights.push_back(
        std::exp((static_cast<double>(logits[token]) - static_cast<double>(logits[best])) /
                 options.temperature));
    total += weights.back();
  }
  if (options.top_p < 1) {
    double held = 0;
    size_t count = 0;
    while (count < weights.size() && held < options.top_p * total) held += weights[count++];
    weights.resize(count);
    total = held;
  }
  double left = Stream{options.seed, kSampleStream}.uniform(index) * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[weights.size() - 1];  // reached by rounding alone
}

void check_options(const GenerateOptions& options) {
  constexpr int64_t kMost = 1 << 24;
  check(options.tokens >= 0 && options.tokens <= kMost, "tokens must be 0 to ", kMost, ", not ",
        options.tokens);
  check(options.temperature >= 0, "temperature must be 0 or more, not ", options.temperature);
  check(options.top_k >= 0, "top-k must be 0 (all) or more, not ", options.top_k);
  check(options.top_p > 0 && options.top_p <= 1, "top-p must be above 0 and at most 1, not ",
        options.top_p);
}

void check_generation(const LanguageModel& model, const std::vector<int32_t>& prompt,
                      const GenerateOptions& options) {
  check_options(options);
  check(!prompt.empty(), "the prompt is empty; give the model at least one token to go on from");
  const auto context = static_cast<double>(prompt.size()) + static_cast<double>(options.tokens);
  // The last token is generated and not read again.
  const auto tokens = static_cast<int64_t>(prompt.size());
  model.require_reach(tokens + std::max<int64_t>(options.tokens - 1, 0));
  double kept = 0;  // keys of all heads
  for (const std::vector<int64_t>& windows : model.windows()) {
    for (int64_t h = 0; h < model.config().heads; ++h) {
      const bool limited = !windows.empty() && windows[h] > 0;
      kept += limited ? std::min(context, static_cast<double>(windows[h])) : context;
    }
  }
  const auto head_width = static_cast<double>(model.config().width / model.config().heads);
  require_memory(forward_bytes(model.config(), kPromptChunk, model.backend()) +
                     2 * sizeof(real) * kept * head_width,
                 model.backend(),
                 concat("a context of ", prompt.size(), " + ", options.tokens, " tokens"));
}

Generated generate(LanguageModel& model, const std::vector<int32_t>& prompt,
                   const GenerateOptions& options, const std::function<bool(int32_t)>& on_token) {
  check_generation(model, prompt, options);
  Memory memory = model.new_memory();
  Generated result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  auto start = Clock::now();
  std::vector<real> logits;
  for (size_t first = 0; first < prompt.size(); first += kPromptChunk) {
    const size_t count = std::min<size_t>(kPromptChunk, prompt.size() - first);
    const Ids chunk{std::span(prompt).subspan(first, count), model.backend()};
    logits = model.next_logits(chunk, memory).to_vector();
    // Pieces behind a growing past have sizes of their own, which nobody will ask for again.
    model.backend().pool().trim();
  }
  result.prompt_seconds = seconds_since(start);
  start = Clock::now();
  while (result.tokens < options.tokens) {
    const int32_t token = draw_token(logits, options, result.tokens);
    ++result.tokens;
    if (!on_token(token) || result.tokens == options.tokens) break;
    logits = model.next_logits(Ids(std::vector{token}, model.backend()), memory).to_vector();
    // A dense bias and what it is made of have new sizes with every token, a number for each key at
    // least, which nobody will ask for again.
    const Tensor& bias = memory.bias.values;
    if (bias.defined() && !memory.bias.relative())
      model.backend().pool().trim(bias.size() / bias.shape()[0] * sizeof(real));
  }
  result.seconds = seconds_since(start);
  for (const KeyValueCache& block : memory.blocks) result.cache_bytes += block.bytes();
  return result;
}

}  // namespace farsight
