// Checkpoints: one safetensors file with the parameters by dotted name, the optimizer's moments
// (optimizer.first.NAME, optimizer.second.NAME), and in its metadata the settings, the step and the
// tokenizer's fingerprint. Random numbers are functions of seed and step, so that nothing else is
// needed to go on exactly.
#pragma once

#include <filesystem>
#include <memory>

#include "train/config.h"
#include "train/optimizer.h"
#include "train/token_source.h"

namespace farsight {

/// A model with the settings that it was trained with.
struct TrainedModel {
  Config config;
  std::string tokenizer;  // fingerprint
  int64_t step = 0;       // steps taken
  std::unique_ptr<LanguageModel> model;
};

/// Writes atomically what load_checkpoint and resume_checkpoint read.
void save_checkpoint(const std::filesystem::path& path, const Config& config,
                     const std::string& tokenizer, int64_t step, const ParameterBlock& parameters,
                     const AdamW& optimizer);

/// Builds the model that a checkpoint describes. Throws Error if the file is damaged or does not
/// describe a model.
TrainedModel load_checkpoint(const std::filesystem::path& path, Backend& backend);

/// Throws Error if a text is not tokenized as the model's training data were.
void require_tokenizer(const TrainedModel& trained, const TokenSource& text);

/// load_checkpoint() for work on a text, which require_tokenizer() has seen.
TrainedModel load_model(const std::filesystem::path& path, const TokenSource& text,
                        Backend& backend);

/// What a checkpoint says of its run.
struct RunState {
  Config config;
  std::string tokenizer;
  int64_t step = 0;
  int64_t parameters = 0;
};

/// Reads and verifies a whole checkpoint, but builds no model. Throws Error as load_checkpoint().
RunState checkpoint_state(const std::filesystem::path& path);

/// Settings of these groups (visit_settings) that differ, "rate = 0.002 (was 0.001)".
std::vector<std::string> changed_settings(const Config& now, const Config& before,
                                          std::initializer_list<std::string> groups);

struct Resumed {
  int64_t step = 0;  // steps taken
  std::vector<std::string>
      changes;  // training settings that differ now, "rate = 0.002 (was 0.001)"
};

/// Sets parameters and moments to a checkpoint's. Throws Error if the file is damaged, belongs to
/// another model, or was trained on another tokenizer's tokens.
Resumed resume_checkpoint(const std::filesystem::path& path, const Config& config,
                          const std::string& tokenizer, const ParameterBlock& parameters,
                          const AdamW& optimizer);

}  // namespace farsight
