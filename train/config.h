// Every setting of a training run, in one list that the command line, --help, the configuration
// file and a checkpoint's metadata share. Precedence: defaults < file < command line.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "nn/language_model.h"
#include "train/device.h"

namespace farsight {

struct Config {
  ModelConfig model;

  std::string data;  // folder made by `farsight prepare`
  std::string out;   // folder of the run

  int64_t batch = 16;      // sequences per forward pass
  int64_t accumulate = 1;  // forward passes per step
  int64_t steps = 1000;
  double rate = 1e-3;       // learning rate after warm-up
  double final_rate = 0.1;  // share of it that the cosine ends at, after the last step
  int64_t warmup = 100;     // steps
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double decay = 0.1;  // weight decay, on matrices
  double clip = 1;     // largest gradient norm; 0 = unlimited
  double dropout = 0;
  bool recompute = false;
  uint64_t seed = 1;

  int64_t log_every = 50;        // steps
  int64_t evaluate_every = 500;  // steps; 0 = never
  int64_t evaluate_tokens = 50000;
  int64_t checkpoint_every = 500;  // steps; the last step is always saved
  DeviceOptions device;
};

/// Calls visit(name, field, description, group) for each setting; names are as on the command line.
/// A setting of a positional scheme is a double found in config.model.position_options.
template <class Visit>
void visit_settings(Config& config, const Visit& visit) {
  const char* const model = "Model";
  visit("position", config.model.position, "positional scheme; see `farsight schemes`", model);
  visit("width", config.model.width, "width of the residual stream", model);
  visit("heads", config.model.heads, "attention heads; must divide the width", model);
  visit("blocks", config.model.blocks, "transformer blocks", model);
  visit("feed-forward", config.model.feed_forward,
        "hidden width of the feed-forward layers; 0 = 4x", model);
  visit("length", config.model.length, "training length in tokens", model);
  visit("deviation", config.model.deviation,
        "standard deviation of the initial weights; narrow models learn sooner from more", model);
  visit("tied", config.model.tied, "use the embedding table as output projection", model);
  visit("activation", config.model.activation, "gelu or gelu_tanh", model);
  visit("window", config.model.windows,
        "attention window in tokens: one for all heads or one for each; 0 = unlimited", model);
  const char* const positions = "Positional schemes";
  for (const PositionEntry* entry : PositionEntry::all()) {
    for (const PositionOption& option : entry->options) {
      double& field =
          config.model.position_options.emplace(option.name, option.value).first->second;
      visit(option.name.c_str(), field, option.description.c_str(), positions);
    }
  }
  const char* const files = "Files";
  visit("data", config.data, "folder made by `farsight prepare`", files);
  visit("out", config.out, "folder of the run: checkpoint.safetensors and log.csv", files);
  const char* const training = "Training";
  visit("batch", config.batch, "sequences per forward pass", training);
  visit("accumulate", config.accumulate, "forward passes per step", training);
  visit("steps", config.steps, "training steps", training);
  visit("rate", config.rate, "learning rate after warm-up", training);
  visit("final-rate", config.final_rate,
        "share of the rate that its cosine ends at, after the last step", training);
  visit("warmup", config.warmup, "steps of linear warm-up", training);
  visit("beta1", config.beta1, "AdamW: decay of the first moment", training);
  visit("beta2", config.beta2, "AdamW: decay of the second moment", training);
  visit("epsilon", config.epsilon, "AdamW: added to the root of the second moment", training);
  visit("decay", config.decay, "AdamW: weight decay, on matrices only", training);
  visit("clip", config.clip, "largest norm of the gradient; 0 = unlimited", training);
  visit("dropout", config.dropout, "dropout probability on embeddings and residual branches",
        training);
  visit("seed", config.seed, "seed of initial values, batches and dropout", training);
  visit("precision", config.device.precision,
        "what matrix products round their inputs to: fp32, tf32 or bf16", training);
  const char* const running = "Running";
  visit("log-every", config.log_every, "steps between log lines", running);
  visit("evaluate-every", config.evaluate_every, "steps between evaluations; 0 = never", running);
  visit("evaluate-tokens", config.evaluate_tokens, "validation tokens of such an evaluation",
        running);
  visit("checkpoint-every", config.checkpoint_every, "steps between checkpoints", running);
  visit("recompute", config.recompute,
        "keep less for the backward pass and compute it again: less memory, more time", running);
  visit("device", config.device.name, "cpu, cuda, or auto: a GPU where there is one", running);
  visit("threads", config.device.threads, "threads of the CPU; 0 = one per processor", running);
}

/// Makes every option of `program`'s commands that takes numbers refuse what is no finite number or
/// does not fit: CLI11 itself lets large ones saturate and takes "" for 0.
void check_numbers(CLI::App& program);

/// Adds every setting as an option, and --config FILE…
void add_settings(CLI::App& app, Config& config);

/// Fills what the command line did not set from the TOML files given by --config, once `app` has
/// parsed: any option of `app` that is configurable(). Throws Error naming the file and, for an
/// unknown key, the nearest known one.
void read_config_file(CLI::App& app);

/// A command line's fault in one line, with the nearest known option where one is unknown.
std::string describe(const CLI::ParseError& error, CLI::App& program);

/// All settings by name, and the vocabulary; and back. from_json throws Error on an unknown name
/// or a value of the wrong type.
nlohmann::json to_json(const Config& config);
Config from_json(const nlohmann::json& settings);

/// The one of `candidates` with the smallest edit distance to `name`.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace farsight
