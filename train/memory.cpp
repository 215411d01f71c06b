// Estimates of memory: see memory.h.
#include "train/memory.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/ops.h"

namespace farsight {
namespace {

/// What the program and its libraries take.
constexpr double kProgram = 64 << 20;

double logit_bytes(const ModelConfig& config, double tokens, const Backend& backend) {
  const int64_t V = config.vocabulary;
  const int64_t rows = logit_rows(std::llround(tokens), V, backend.workspace());
  return sizeof(real) * static_cast<double>(rows) * static_cast<double>(V);
}

/// The rounded copies that a backend's products keep: of a block's 2 norms, q, k, v, attention and
/// inner activations per row; for the backward pass, of the weights and the logits' gradient.
constexpr double kRounded = 2;  // bytes of a number
double rounded_block_bytes(const ModelConfig& config, double rows, const Backend& backend) {
  if (!backend.keeps_rounded()) return 0;
  return kRounded * rows * static_cast<double>(6 * config.width + config.hidden_width());
}
double rounded_weight_bytes(const ModelConfig& config, double tokens, const Backend& backend) {
  if (!backend.keeps_rounded()) return 0;
  return kRounded * (matrix_elements(config) + logit_bytes(config, tokens, backend) / sizeof(real));
}

/// Activations of one block that the backward pass needs. Per row: 2 norms, q, k, v, attention,
/// 2 sums, and 2 in the feed-forward.
double block_bytes(const ModelConfig& config, double rows, const Backend& backend) {
  const double numbers =
      8 * static_cast<double>(config.width) + 2 * static_cast<double>(config.hidden_width());
  return sizeof(real) * rows * numbers + rounded_block_bytes(config, rows, backend);
}

/// One tensor of the residual stream.
double residual_bytes(const ModelConfig& config, double rows) {
  return sizeof(real) * rows * static_cast<double>(config.width);
}

}  // namespace

double backward_bytes(const ModelConfig& config, double tokens, const Backend& backend) {
  // The activations of all blocks, the gradients of one block's, and what attention's threads pack:
  // of q, k, v and dy up to two forms each, with the gradients.
  return kProgram + block_bytes(config, tokens, backend) * static_cast<double>(config.blocks + 1) +
         10 * residual_bytes(config, tokens) + logit_bytes(config, tokens, backend) +
         rounded_weight_bytes(config, tokens, backend);
}

double forward_bytes(const ModelConfig& config, double tokens, const Backend& backend) {
  // Nothing outlives its block: the residual stream, and what the widest op reads and writes.
  const auto C = static_cast<double>(config.width);
  const double widest = std::max(5 * C, C + static_cast<double>(config.hidden_width()));
  return kProgram + sizeof(real) * tokens * (2 * C + widest) +
         logit_bytes(config, tokens, backend) + rounded_block_bytes(config, tokens, backend);
}

double bias_bytes(const PositionScheme& scheme, int64_t length) {
  return sizeof(real) * scheme.bias_elements({0, length});
}

double training_bytes(const Config& config, const PositionScheme& scheme, const Backend& backend) {
  // Numbers per parameter: value, gradient, two moments, and on the CPU the three copies that are
  // made while a checkpoint is saved.
  const double numbers = &backend == &cpu_backend() ? 7 : 4;
  const double tokens =
      static_cast<double>(config.batch) * static_cast<double>(config.model.length);
  const ModelConfig& model = config.model;
  double activations = backward_bytes(model, tokens, backend);
  if (config.recompute)  // of all blocks but one, the input alone
    activations -= static_cast<double>(model.blocks - 1) *
                   (block_bytes(model, tokens, backend) - residual_bytes(model, tokens));
  else if (config.dropout > 0)  // the two branches as they come out, before and after
    activations += static_cast<double>(model.blocks) * 4 * residual_bytes(model, tokens);
  const double bias = scheme.bias_elements({.end = model.length, .training = Stream{}});
  return sizeof(real) * (numbers * matrix_elements(model) + bias) + activations;
}

void require_memory(double bytes, const Backend& backend, const std::string& job) {
  constexpr double kMiB = 1 << 20;
  const auto here = static_cast<double>(backend.memory_bytes());
  check(bytes <= here, job, " needs about ", std::llround(bytes / kMiB), " MiB and the device has ",
        std::llround(here / kMiB), " MiB; use a smaller model, batch, length or number of heads");
}

}  // namespace farsight
