// Training: batches, the step, and the loop around it.
#pragma once

#include <filesystem>
#include <memory>

#include "core/profile.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/token_source.h"

namespace farsight {

/// Throws Error if a training setting makes no sense or the text is shorter than one sequence.
void check_training(const Config& config, const TokenSource& train);

/// A model in training. Same binary, settings, data and number of threads give the same bits.
class Trainer {
 public:
  /// Takes the vocabulary from the data. Throws Error if a setting makes no sense or the text is
  /// shorter than one sequence.
  Trainer(Config config, const TokenSource& train, Backend& backend);

  struct StepResult {
    double loss;  // nats per token, before the update
    double norm;  // of the gradient, before clipping
    double rate;
  };

  /// One step on the next batch: gradients of `accumulate` passes, clipping, AdamW. Does not wait
  /// for the device. A gradient that is not finite leaves the parameters as they were.
  void advance();

  /// What came of the last step. Throws Error if in any step so far the loss or the gradient was
  /// not finite.
  StepResult result() const;

  /// advance(), then result().
  StepResult step();

  int64_t steps_taken() const { return step_; }
  LanguageModel& model() { return model_; }
  const Config& config() const { return config_; }
  const ParameterBlock& parameters() const { return parameters_; }

  /// Throws Error, the file as it was, if a parameter is not finite.
  void save(const std::filesystem::path& path) const;
  /// Goes on from a checkpoint; see resume_checkpoint. Returns the settings that have changed.
  std::vector<std::string> resume(const std::filesystem::path& path);

 private:
  /// One forward and backward pass; adds its mean loss, divided by `accumulate`, to the step's.
  void pass(int64_t pass_index);

  const Config config_;
  const TokenSource& train_;
  LanguageModel model_;
  ParameterBlock parameters_;
  AdamW optimizer_;
  int64_t step_ = 0;
  // On the device: the last step's loss, its gradient's norm squared, and the sum of both over all
  // steps, which stays infinite or NaN once one of them was.
  Tensor reported_;
};

/// Runs the whole training described by the settings: start-up table, log lines, log.csv,
/// evaluations on `valid` (may be null), checkpoints, Ctrl-C. With `resume`, goes on from the
/// checkpoint in config.out if there is one; without, refuses to overwrite one. Returns false if
/// it was interrupted. `say` receives what is to be printed, `profile`, if given, where the steps'
/// time went.
bool train(const Config& config, const TokenSource& train, const TokenSource* valid, bool resume,
           Backend& backend, std::ostream& say, Profile* profile = nullptr);

}  // namespace farsight
