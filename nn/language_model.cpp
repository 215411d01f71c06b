// The language model: see language_model.h.
#include "nn/language_model.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace farsight {
namespace {

/// Of the projections that write to the residual stream, which adds up two per block.
double residual_deviation(const ModelConfig& config) {
  return config.deviation / std::sqrt(2.0 * config.blocks);
}

/// Throws unless the settings fit together.
const ModelConfig& checked(const ModelConfig& config) {
  // The upper bounds are far beyond use; they keep products of sizes inside 64 bits.
  constexpr int64_t kLargest = 1 << 24;
  const auto within = [](const char* name, int64_t value, int64_t low, int64_t high) {
    check(value >= low && value <= high, name, " must be ", low, " to ", high, ", not ", value);
  };
  within("vocabulary", config.vocabulary, 1, INT32_MAX);
  within("width", config.width, 1, kLargest);
  within("heads", config.heads, 1, kLargest);
  within("blocks", config.blocks, 1, 1000);
  within("length", config.length, 1, kLargest);
  within("feed-forward", config.feed_forward, 0, kLargest);
  check(config.deviation > 0 && config.deviation <= 1, "deviation must be above 0 and at most 1, ",
        "not ", config.deviation);
  check(config.width % config.heads == 0, "heads = ", config.heads,
        " does not divide width = ", config.width);
  const int64_t windows = config.windows.size();
  check(windows <= 1 || windows == config.heads, "give one window for all heads or ", config.heads,
        " windows, not ", windows);
  for (const int64_t window : config.windows) within("a window", window, 0, kLargest);
  return config;
}

}  // namespace

double matrix_elements(const ModelConfig& config) {
  const double C = static_cast<double>(config.width);
  const double embeddings = (config.tied ? 1 : 2) * C * static_cast<double>(config.vocabulary);
  return embeddings + static_cast<double>(config.blocks) *
                          (4 * C * C + 2 * C * static_cast<double>(config.hidden_width()));
}

const Bias& Memory::bias_for(PositionScheme& position, const Positions& queries) {
  int64_t reach = 0;
  for (const KeyValueCache& block : blocks)
    reach = std::max(reach, std::min(tokens(), block.longest() - 1) + queries.count());
  if (bias.relative() && bias.values.shape()[1] >= reach) return bias;
  // One that depends on distance alone serves later tokens too, if it reaches farther.
  const auto farther = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(queries.end)));
  Positions reached = queries;
  if (bias.relative()) reached.end = farther;
  bias = position.bias(reached);
  return bias;
}

Block::Block(const ModelConfig& config, Backend& backend)
    : attention_norm_(config.width, backend),
      attention_(config.width, config.heads, config.deviation, residual_deviation(config), backend),
      feed_forward_norm_(config.width, backend),
      feed_forward_(config.width, config.hidden_width(), config.activation, config.deviation,
                    residual_deviation(config), backend) {
  add_child("attention_norm", attention_norm_);
  add_child("attention", attention_);
  add_child("feed_forward_norm", feed_forward_norm_);
  add_child("feed_forward", feed_forward_);
}

Tensor Block::operator()(const Tensor& x, const AttentionContext& context, Dropout& dropout) const {
  const Tensor mixed = attention_(attention_norm_(x), context, x, dropout);
  return feed_forward_(feed_forward_norm_(mixed), mixed, dropout);
}

std::unique_ptr<PositionScheme> position_of(const ModelConfig& config, Backend& backend) {
  checked(config);
  return make_position(config.position, {config.width, config.heads, config.length,
                                         config.position_options, &backend});
}

void require_reach(const ModelConfig& config, const PositionScheme& scheme, int64_t length) {
  check(length <= scheme.reach(), "the scheme '", config.position, "' has ", scheme.reach(),
        " positions and cannot reach ", length, "; choose lengths up to ", scheme.reach(),
        " or another scheme");
}

LanguageModel::LanguageModel(const ModelConfig& config, std::optional<uint64_t> seed,
                             Backend& backend)
    : config_(checked(config)),
      backend_(backend),
      embedding_(add_parameter("embedding.weight", {config.vocabulary, config.width},
                               normal(config.deviation), Decay::kYes, backend)),
      head_(config.tied ? embedding_
                        : add_parameter("head.weight", {config.vocabulary, config.width},
                                        normal(config.deviation), Decay::kYes, backend)),
      position_(position_of(config, backend)),
      norm_(config.width, backend) {
  add_child("position", *position_);
  for (int64_t i = 0; i < config.blocks; ++i) {
    blocks_.push_back(std::make_unique<Block>(config, backend));
    add_child("blocks." + std::to_string(i), *blocks_.back());
  }
  add_child("norm", norm_);
  set_windows(trained_windows());
  if (seed) initialize(*seed);
}

LanguageModel::Windows LanguageModel::trained_windows() const {
  std::vector<int64_t> windows = config_.windows;
  if (windows.size() == 1) windows.assign(config_.heads, windows[0]);
  return Windows(config_.blocks, windows);
}

void LanguageModel::set_windows(Windows windows) {
  check(static_cast<int64_t>(windows.size()) == config_.blocks, "windows for ", windows.size(),
        " blocks, and the model has ", config_.blocks);
  window_ids_.clear();
  for (const std::vector<int64_t>& block : windows) {
    std::vector<int32_t> ids(block.begin(), block.end());
    window_ids_.push_back(ids.empty() ? Ids() : Ids(ids, backend_));
  }
  windows_ = std::move(windows);
}

Tensor LanguageModel::embed(const Ids& tokens, int64_t B) const {
  const int64_t T = tokens.size() / B;
  check(T > 0 && B * T == tokens.size(), tokens.size(), " tokens are no ", B,
        " sequences of one length");
  return embedding(embedding_, tokens).reshape({B, T, config_.width});
}

Tensor LanguageModel::hidden(const Tensor& embedded, Pass pass) {
  const int64_t B = embedded.shape()[0], T = embedded.shape()[1];
  const int64_t begin = pass.memory ? pass.memory->tokens() : 0;
  require_reach(begin + T);
  check(
      !pass.memory || !extension_ || !extension_->whole_texts_only(),
      "this extension changes with the length of the text, so that nothing can be generated with ",
      "it; ntk is the like of ntk_dynamic for a length known beforehand");
  const Positions positions{begin, begin + T, extension_.get(), B, pass.training};
  Tensor x = embedded;
  if (position_->embedding_scale() != 1) x = scale(x, position_->embedding_scale());
  if (const Tensor table = position_->embed(positions); table.defined())
    x = table.shape() == x.shape() ? add(x, table) : add_to_each(x, table);
  x = pass.dropout(x);
  AttentionContext context{*position_, positions, {}, {}};
  context.mass = pass.mass;
  context.bias = scaled(pass.memory ? pass.memory->bias_for(*position_, positions)
                                    : position_->bias(positions));
  if (extension_) context.query_factors = query_factors(positions);
  for (int64_t i = 0; i < config_.blocks; ++i) {
    context.windows = window_ids_[i];
    if (pass.memory) context.cache = &pass.memory->blocks[i];
    if (!pass.recompute) {
      x = (*blocks_[i])(x, context, pass.dropout);
      continue;
    }
    x = recompute([&block = *blocks_[i], x, context, first = pass.dropout] {
      Dropout dropout = first;  // the same numbers each time
      return block(x, context, dropout);
    });
    pass.dropout.next.stream += Block::kDropouts;
  }
  return norm_(x).reshape({B * T, config_.width});
}

Tensor LanguageModel::losses(const Ids& tokens, const Ids& targets, int64_t B, const Pass& pass,
                             Tensor* correct) {
  return cross_entropy(hidden(embed(tokens, B), pass), head_, targets, correct);
}

void LanguageModel::extend(const ExtensionEntry* entry, const ExtensionConfig& config) {
  if (!entry) {
    extension_.reset();
    return;
  }
  check(position_->has(entry->acts), "the extension '", entry->name, "' acts on ",
        entry->acts == Acts::kRotation ? "rotations" : "positions", ", and the scheme '",
        config_.position, "' has none to extend; see `farsight schemes`");
  extension_ = entry->make(config);
}

Bias LanguageModel::scaled(const Bias& bias) const {
  const double factor = extension_ ? extension_->score_scale() : 1;
  if (factor == 1 || !bias.values.defined()) return bias;
  return {scale(bias.values, static_cast<real>(factor))};
}

Bias LanguageModel::bias(int64_t begin, int64_t end) {
  return scaled(position_->bias({begin, end, extension_.get()}));
}

Tensor LanguageModel::query_factors(const Positions& positions) const {
  std::vector<real> factors;
  for (int64_t m = positions.begin; m < positions.end; ++m)
    factors.push_back(static_cast<real>(extension_->query_scale(m) * extension_->score_scale()));
  if (std::count(factors.begin(), factors.end(), 1) == positions.count()) return {};
  std::vector<real> all;
  all.reserve(positions.sequences * positions.count() * config_.width);
  for (int64_t b = 0; b < positions.sequences; ++b)
    for (const real factor : factors) all.insert(all.end(), config_.width, factor);
  return Tensor::from({positions.sequences, positions.count(), config_.width}, all, backend_);
}

Memory LanguageModel::new_memory() const {
  Memory memory;
  for (int64_t i = 0; i < config_.blocks; ++i)
    memory.blocks.emplace_back(config_.heads, windows_[i], window_ids_[i]);
  return memory;
}

Tensor LanguageModel::next_logits(const Ids& tokens, Memory& memory) {
  const Tensor rows = hidden(embed(tokens, 1), {.memory = &memory});
  const Ids last(std::vector<int32_t>{static_cast<int32_t>(tokens.size() - 1)}, backend_);
  return linear(embedding(rows, last), head_);
}

}  // namespace farsight
