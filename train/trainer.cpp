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
constexpr uint64_t kPositionStream = uint64_t{1} << 62;
constexpr uint64_t kDropoutStream = uint64_t{1} << 63;
constexpr uint64_t kDropoutsPerPass = 1 << 12;

// How often an update passes over the parameters' memory: the norm reads the gradient; AdamW reads
// and writes value, gradient and moments.
constexpr double kOptimizerPasses = 9;

}  // namespace

void check_training(const Config& config, const TokenSource& data) {
  constexpr int64_t kMost = int64_t{1} << 40;  // keeps products of counts inside 64 bits
  const auto within = [](const char* name, auto value, auto low, auto high) {
    check(value >= low && value <= high, name, " must be ", low, " to ", high, ", not ", value);
  };
  within("batch", config.batch, int64_t{1}, int64_t{1} << 20);
  within("accumulate", config.accumulate, int64_t{1}, int64_t{1} << 20);
  within("steps", config.steps, int64_t{1}, kMost);
  within("warmup", config.warmup, int64_t{0}, kMost);
  within("final-rate", config.final_rate, 0.0, 1.0);
  within("decay", config.decay, 0.0, 1e6);
  within("clip", config.clip, 0.0, 1e30);
  within("log-every", config.log_every, int64_t{1}, kMost);
  within("evaluate-every", config.evaluate_every, int64_t{0}, kMost);
  within("evaluate-tokens", config.evaluate_tokens, int64_t{2}, kMost);
  within("checkpoint-every", config.checkpoint_every, int64_t{1}, kMost);
  check(config.rate > 0, "rate must be above 0, not ", config.rate);
  check(config.epsilon > 0, "epsilon must be above 0, not ", config.epsilon);
  for (const auto& [name, value] :
       {std::pair("beta1", config.beta1), {"beta2", config.beta2}, {"dropout", config.dropout}})
    check(value >= 0 && static_cast<real>(value) < 1, name, " must be in [0, 1), not ", value);
  check(data.size > config.model.length, data.name, ": has ", data.size,
        " tokens, too few for one sequence of ", config.model.length,
        " and the token after it; use a longer text or a smaller --length");
}

namespace {

Config checked(Config config, const TokenSource& data) {
  check_training(config, data);
  config.model.vocabulary = data.vocabulary;
  return config;
}

}  // namespace

Trainer::Trainer(Config config, const TokenSource& train, Backend& backend)
    : config_(checked(std::move(config), train)),
      train_(train),
      model_(config_.model, config_.seed, backend),
      parameters_(model_),
      optimizer_(parameters_),
      reported_(Tensor::full({3}, 0, backend)) {}

void Trainer::pass(int64_t pass_index) {
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
  Pass pass{dropout, Stream{config_.seed, kPositionStream + pass_index}};
  pass.recompute = config_.recompute;
  const Tensor losses = model_.losses(Ids(tokens, backend), Ids(targets, backend), B, pass);
  const Tensor mean = scale(sum(losses), real(1) / (B * T * config_.accumulate));
  tape.backward(mean);
  backend.accumulate(reported_.data(), mean.data(), 1, 1);
}

void Trainer::advance() {
  Backend& backend = model_.backend();
  real* const loss = reported_.data();
  real *const norm_squared = loss + 1, *const history = loss + 2;
  backend.fill(loss, 0, 1);
  for (int64_t i = 0; i < config_.accumulate; ++i) pass(step_ * config_.accumulate + i);
  optimizer_.update(config_, step_, norm_squared);
  Profile::lap("AdamW", Profile::Pass::kForward,
               kOptimizerPasses * sizeof(real) * static_cast<double>(parameters_.size()));
  // Scaled down, so that only what is not finite makes the sum so.
  backend.accumulate(history, loss, real(1e-9), 1);
  backend.accumulate(history, norm_squared, real(1e-9), 1);
  ++step_;
}

Trainer::StepResult Trainer::result() const {
  const std::vector<real> reported = reported_.to_vector();
  const double loss = reported[0], norm = std::sqrt(reported[1]);
  check(std::isfinite(loss), "the loss of step ", step_, " is ", loss, kCalmer);
  check(std::isfinite(norm), "the gradient's norm at step ", step_, " is ", norm, kCalmer);
  check(std::isfinite(reported[2]), "the loss or the gradient was not finite in a step up to ",
        step_, kCalmer);
  return {loss, norm, learning_rate(config_, step_ - 1)};
}

Trainer::StepResult Trainer::step() {
  advance();
  return result();
}

void Trainer::save(const std::filesystem::path& path) const {
  result();  // throws if a step was left out: what is there before stays
  const Tensor& values = parameters_.values();
  Tensor squares(Shape{}, values.backend());
  values.backend().sum_squares(squares.data(), values.data(), values.size());
  check(std::isfinite(squares.item()), "after step ", step_, " the parameters are not finite",
        kCalmer);
  save_checkpoint(path, config_, train_.tokenizer, step_, parameters_, optimizer_);
}

std::vector<std::string> Trainer::resume(const std::filesystem::path& path) {
  Resumed resumed = resume_checkpoint(path, config_, train_.tokenizer, parameters_, optimizer_);
  step_ = resumed.step;
  return std::move(resumed.changes);
}

}  // namespace farsight
