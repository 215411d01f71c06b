// The loop around the training step: start-up table, log, evaluations, checkpoints, Ctrl-C.
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iomanip>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "train/evaluate.h"
#include "train/log.h"
#include "train/memory.h"
#include "train/trainer.h"

namespace farsight {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// While alive, Ctrl-C (and a polite kill) set `interrupted`; a second one ends the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    for (const int signal : {SIGINT, SIGTERM}) {
      struct sigaction action {};
      action.sa_handler = [](int) { interrupted = 1; };
      action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
      sigaction(signal, &action, nullptr);
    }
  }
  ~InterruptGuard() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  }
};

/// log.csv: one row per log line; rows of steps that a resumed run takes again are dropped.
class Log {
 public:
  Log(std::filesystem::path path, int64_t steps_taken) : path_(std::move(path)) {
    std::string kept = "step,tokens,loss,norm,rate,tokens_per_second,valid_loss\n";
    std::ifstream old(path_);
    std::string line;
    std::getline(old, line);
    while (std::getline(old, line)) {
      if (std::atoll(line.c_str()) <= steps_taken && line.find(',') != line.npos)
        kept += line + '\n';
    }
    write_file(path_, [&](std::ostream& stream) { stream << kept; });
    stream_.open(path_, std::ios::app);
  }

  void add(int64_t step, int64_t tokens, const Trainer::StepResult& result, double speed,
           double valid_loss) {
    stream_ << step << ',' << tokens << ',' << std::setprecision(8) << result.loss << ','
            << result.norm << ',' << result.rate << ',' << std::lround(speed) << ',';
    if (!std::isnan(valid_loss)) stream_ << valid_loss;
    stream_ << std::endl;
    check(stream_.good(), path_.string(), ": cannot be written; is the disk full?");
  }

 private:
  std::filesystem::path path_;
  std::ofstream stream_;
};

void print_start(Trainer& trainer, const Backend& backend, const TokenSource& train,
                 const TokenSource* valid, std::ostream& say) {
  const Config& c = trainer.config();
  const ModelConfig& m = c.model;
  const auto mib = [](double bytes) { return std::lround(bytes / (1 << 20)); };
  say << "model    " << m.blocks << " blocks, width " << m.width << ", " << m.heads << " heads, "
      << m.position << ", " << short_number(trainer.parameters().count()) << " parameters\n"
      << "data     " << train.name << ", " << short_number(train.size) << " tokens, vocabulary "
      << m.vocabulary;
  if (valid) say << "; validation " << short_number(valid->size) << " tokens";
  say << "\nrun      " << c.steps << " steps of " << c.batch * c.accumulate << " x " << m.length
      << " tokens, " << short_number(c.steps * c.batch * c.accumulate * m.length)
      << " in all, into " << c.out << "\ndevice   " << backend.description() << "\nmemory   about "
      << mib(training_bytes(c, trainer.model().position(), backend)) << " MiB\n";
}

}  // namespace

bool train(const Config& config, const TokenSource& train, const TokenSource* valid, bool resume,
           Backend& backend, std::ostream& say, Profile* profile) {
  check(!config.out.empty(), "no folder for the run; pass --out runs/NAME");
  const std::filesystem::path folder = config.out;
  const std::filesystem::path checkpoint = folder / "checkpoint.safetensors";
  const bool found = std::filesystem::exists(checkpoint);
  check(!found || resume, checkpoint.string(),
        ": exists already; pass --resume to go on with it, or another --out");

  if (valid) {
    check(valid->tokenizer == train.tokenizer, valid->name, " and ", train.name,
          " were made with different tokenizers; run `farsight prepare` on both together");
    check(valid->size > config.model.length, valid->name, ": has ", valid->size,
          " tokens, too few for one sequence of ", config.model.length,
          " and the token after it; use a longer text or a smaller --length");
  }
  Config sized = config;
  sized.model.vocabulary = train.vocabulary;
  require_memory(training_bytes(sized, *position_of(sized.model, backend), backend), backend,
                 "this run");

  Trainer trainer(config, train, backend);
  std::vector<std::string> changes;
  if (found) changes = trainer.resume(checkpoint);
  print_start(trainer, backend, train, valid, say);
  if (found) say << "resumed  at step " << trainer.steps_taken() << '\n';
  for (const std::string& change : changes) say << "changed  " << change << '\n';
  Log log(folder / "log.csv", trainer.steps_taken());
  const InterruptGuard guard;
  ProgressBar bar;

  const auto validate = [&] {
    EvaluationOptions options;
    options.length = config.model.length;
    options.max_targets = config.evaluate_tokens;
    options.tokens_per_pass = config.batch * config.model.length;
    const Evaluation e = evaluate(trainer.model(), *valid, options);
    return e.nll / e.targets;
  };
  const int64_t tokens_per_step = config.batch * config.accumulate * config.model.length;
  const auto on_step = [&](int64_t every) {
    return every && (trainer.steps_taken() % every == 0 || trainer.steps_taken() == config.steps);
  };

  // Runs f; an error's message then also says which checkpoint is left.
  const auto naming_checkpoint = [&](const auto& f) {
    try {
      f();
    } catch (const Error& error) {
      const bool saved = std::filesystem::exists(checkpoint);
      fail(error.what(), saved ? "; the last good checkpoint is " : "; no checkpoint was saved yet",
           saved ? checkpoint.string() : "");
    }
  };

  using Clock = std::chrono::steady_clock;
  double busy = 0;  // seconds spent on the steps since the last log line
  int64_t steps_timed = 0;
  while (trainer.steps_taken() < config.steps && !interrupted) {
    const auto start = Clock::now();
    std::optional<Trainer::StepResult> result;
    naming_checkpoint([&] {
      std::optional<Profile::Scope> measured;
      if (profile) measured.emplace(*profile, backend);
      trainer.advance();
      // Where nothing is to be said of a step, the device is not waited for.
      if (on_step(config.log_every) || (valid && on_step(config.evaluate_every)))
        result = trainer.result();
    });
    busy += std::chrono::duration<double>(Clock::now() - start).count();
    ++steps_timed;
    const int64_t step = trainer.steps_taken();
    bar.show(config.model.position, step, config.steps);

    double valid_loss = std::nan("");
    if (valid && on_step(config.evaluate_every))
      naming_checkpoint([&] { valid_loss = validate(); });
    if (result) {
      const double speed = tokens_per_step * steps_timed / busy;
      const double left = busy / steps_timed * (config.steps - step);
      log.add(step, step * tokens_per_step, *result, speed, valid_loss);
      bar.erase();
      say << std::fixed << "step " << std::setw(6) << step << "  loss " << std::setprecision(4)
          << result->loss << "  ppl " << std::setprecision(2) << std::exp(result->loss) << "  norm "
          << result->norm << "  rate " << std::setprecision(6) << result->rate << "  "
          << short_number(speed) << " tokens/s  " << duration(left) << " left";
      if (!std::isnan(valid_loss))
        say << "  validation ppl " << std::setprecision(2) << std::exp(valid_loss);
      say << std::defaultfloat << std::endl;
      busy = 0;
      steps_timed = 0;
    }
    if (on_step(config.checkpoint_every)) naming_checkpoint([&] { trainer.save(checkpoint); });
  }
  bar.erase();
  if (interrupted && trainer.steps_taken() < config.steps) {
    naming_checkpoint([&] { trainer.save(checkpoint); });
    say << "interrupted at step " << trainer.steps_taken() << "; saved to " << checkpoint.string()
        << ". Run the same command with --resume to go on." << std::endl;
    return false;
  }
  say << "done: " << checkpoint.string() << ", peak memory " << peak_mib(backend) << " MiB"
      << std::endl;
  return true;
}

}  // namespace farsight
