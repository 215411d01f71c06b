// Sweeps: a base configuration and lists of values; every combination is trained, evaluated and
// measured, and the results are put side by side. What is done is not done again, what was
// interrupted goes on.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "train/evaluate.h"
#include "train/trainer.h"

namespace farsight {

struct SweepOptions {
  Config base;                    // out is the sweep's folder
  std::vector<std::string> vary;  // "SETTING=VALUE,VALUE,…"; results are averaged over the seed
  std::vector<int64_t> lengths;   // of the evaluations; none = 1, 2, 4, 8, 16 times the training's
  int64_t sequences = 16;         // of the receptive fields at the same lengths; 0 = none
  std::string title;              // of the plot; "" = compare's
};

/// One combination of values.
struct SweepRun {
  std::string name;   // of its folder, such as sandwich_sandwich-dbar=32_seed=2
  std::string group;  // the name without the seed
  std::vector<std::pair<std::string, std::string>> values;  // by setting, the seed apart
  Config config;
};

/// All combinations, the first setting varying slowest. Throws Error on an unknown setting, a value
/// of the wrong type, or a setting or value that is there twice.
std::vector<SweepRun> sweep_runs(const SweepOptions& options);

/// Trains each run in a folder of its own, leaves eval.csv, position.csv, recall.csv (if there are
/// marks), field.csv, field_curves.csv and attention.csv in it, and writes sweep.csv: a row for
/// each combination and length, with means and standard deviations over seeds. Then prints what
/// compare() says of them and, where gnuplot is, writes report.html. Everything is checked before
/// the first run starts. Returns false if interrupted. Throws Error if a folder holds a run with
/// other settings.
bool sweep(const SweepOptions& options, const TokenSource& train, const TokenSource& valid,
           const std::vector<RecallMark>& marks, Backend& backend, std::ostream& say);

}  // namespace farsight
