// Generating text: one token at a time, drawn from the model's distribution.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

#include "nn/language_model.h"

namespace farsight {

struct GenerateOptions {
  int64_t tokens = 200;
  double temperature = 1;  // scores are divided by it; 0 = always the likeliest token
  int64_t top_k = 0;       // draws from the k likeliest tokens; 0 = all
  double top_p = 1;        // draws from the fewest tokens that hold this much probability
  uint64_t seed = 1;
};

/// --tokens, --temperature, --top-k, --top-p and --seed.
void add_generate_options(CLI::App& app, GenerateOptions& options);

/// A token drawn from the softmax of the scores (V), by the seed's number of this index.
int32_t draw_token(const std::vector<real>& logits, const GenerateOptions& options, int64_t index);

struct Generated {
  int64_t prompt_tokens = 0, tokens = 0;
  double prompt_seconds = 0;
  double seconds = 0;      // of the passes behind the prompt's, one fewer than tokens
  double cache_bytes = 0;  // of keys and values at the end

  /// Of the passes behind the prompt's; 0 if there were none.
  double tokens_per_second() const {
    return tokens > 1 ? static_cast<double>(tokens - 1) / seconds : 0;
  }
};

/// Throws Error if an option makes no sense.
void check_options(const GenerateOptions& options);

/// Throws Error if an option makes no sense, the prompt is empty, the scheme cannot reach so far or
/// this machine's memory is too small.
void check_generation(const LanguageModel& model, const std::vector<int32_t>& prompt,
                      const GenerateOptions& options);

/// Calls `on_token` with each token that follows the prompt, which must not be empty, until there
/// are enough or it returns false. Throws Error as check_generation() does.
Generated generate(LanguageModel& model, const std::vector<int32_t>& prompt,
                   const GenerateOptions& options, const std::function<bool(int32_t)>& on_token);

}  // namespace farsight
