// One training step: see trainer.h; the loop around it is in train_loop.cpp.
#include "train/trainer.h"

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "core/tape.h"

namespace farsight {
namespace {

// Streams of random numbers, apart from those of the parameters' names.
constexpr uint64_t kBatchStream = 1;
constexpr uint64_t kDropoutStream = uint64_t{1} << 63;
constexpr uint64_t kDropoutsPerPass = 1 << 12;

Config checked(Config config, const TokenSource& data) {
  const auto require = [](bool ok, const char* name, auto value, const char* range) {
    check(ok, name, " must be ", range, ", not ", value);
  };
  require(config.batch > 0, "batch", config.batch, "positive");
  require(config.accumulate > 0, "accumulate", config.accumulate, "positive");
  require(config.steps > 0, "steps", config.steps, "positive");
  require(config.rate > 0, "rate", config.rate, "positive");
  require(config.final_rate >= 0 && config.final_rate <= 1, "final-rate", config.final_rate,
          "in [0, 1]");
  require(config.warmup >= 0, "warmup", config.warmup, "0 or more");
  require(config.beta1 >= 0 && config.beta1 < 1, "beta1", config.beta1, "in [0, 1)");
  require(config.beta2 >= 0 && config.beta2 < 1, "beta2", config.beta2, "in [0, 1)");
  require(config.epsilon > 0, "epsilon", config.epsilon, "positive");
  require(config.decay >= 0, "decay", config.decay, "0 or more");
  require(config.clip >= 0, "clip", config.clip, "0 or more");
  require(config.dropout >= 0 && config.dropout < 1, "dropout", config.dropout, "in [0, 1)");
  require(config.log_every > 0, "log-every", config.log_every, "positive");
  require(config.evaluate_every >= 0, "evaluate-every", config.evaluate_every, "0 or more");
  require(config.evaluate_tokens > 1, "evaluate-tokens", config.evaluate_tokens, "at least 2");
  require(config.checkpoint_every > 0, "checkpoint-every", config.checkpoint_every, "positive");
  check(data.size > config.model.length, data.name, ": has ", data.size,
        " tokens, too few for one sequence of ", config.model.length,
        " and the token after it; use a longer text or a smaller --length");
  config.model.vocabulary = data.vocabulary;
  return config;
}

}  // namespace

Trainer::Trainer(Config config, const TokenSource& train, Backend& backend)
    : config_(checked(std::move(config), train)),
      train_(train),
      model_(config_.model, config_.seed, backend),
      parameters_(model_),
      optimizer_(parameters_) {}

double Trainer::pass(int64_t pass_index) {
  const int64_t T = config_.model.length, B = config_.batch;
  const Stream places{config_.seed, kBatchStream};
  std::vector<int32_t> tokens, targets, sequence(T + 1);
  for (int64_t b = 0; b < B; ++b) {
    train_.read(places.below(pass_index * B + b, train_.size - T), sequence);
    tokens.insert(tokens.end(), sequence.begin(), sequence.end() - 1);
    targets.insert(targets.end(), sequence.begin() + 1, sequence.end());
  }
  const Dropout dropout{static_cast<real>(config_.dropout),
                        {config_.seed, kDropoutStream + pass_index * kDropoutsPerPass}};
  Backend& backend = model_.backend();
  Tape tape;
  const Tensor losses = model_.losses(Ids(tokens, backend), Ids(targets, backend), B, dropout);
  const Tensor mean = scale(sum(losses), real(1) / (B * T * config_.accumulate));
  tape.backward(mean);
  return static_cast<double>(mean.item());
}

Trainer::StepResult Trainer::step() {
  double loss = 0;
  for (int64_t i = 0; i < config_.accumulate; ++i) loss += pass(step_ * config_.accumulate + i);
  check(std::isfinite(loss), "the loss of step ", step_ + 1, " is ", loss,
        "; a smaller --rate, a longer --warmup or a smaller --clip may help");
  const double rate = learning_rate(config_, step_);
  const double norm = optimizer_.update(config_, step_);
  ++step_;
  return {loss, norm, rate};
}

void Trainer::save(const std::filesystem::path& path) const {
  save_checkpoint(path, config_, train_.tokenizer, step_, parameters_, optimizer_);
}

void Trainer::resume(const std::filesystem::path& path) {
  step_ = resume_checkpoint(path, config_, train_.tokenizer, parameters_, optimizer_);
}

}  // namespace farsight
