// Speed on random numbers: of whole steps, of the matrix products of a step, of attention.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "core/profile.h"
#include "nn/position.h"
#include "train/device.h"
#include "train/machine.h"
#include "train/table.h"

namespace farsight {

struct BenchOptions {
  std::string mode = "train";  // train (forward, backward, AdamW), eval (forward), gemm, attention
  std::string shape = "M";     // S, M or L
  std::string numbers;         // blocks,width,heads,vocabulary,T,B instead of a named shape
  // The first of the alphabet, so that no scheme is named here. The result says which it was.
  std::string position = PositionEntry::all().front()->name;
  int64_t steps = 5;  // timed; one more goes before
  // Of attention: one sequence of each length, up to `backward_to` with its backward pass.
  std::vector<int64_t> lengths{512, 1024, 2048, 4096, 8192};
  int64_t backward_to = 8192;
  bool recompute = false;  // in training
  int64_t window = 0;      // tokens; 0 = unlimited
  DeviceOptions device;
};

/// blocks, width, heads, vocabulary, T, B
using BenchNumbers = std::array<int64_t, 6>;

/// Those of the named shape or of the list. Throws Error if there is no such shape, the list is
/// none of six positive numbers, or an option does not belong to the mode.
BenchNumbers numbers_of(const BenchOptions& options);

/// What whole steps took, and where.
struct StepBench {
  std::vector<double> seconds;  // of each step
  int64_t tokens = 0;           // of a step
  int64_t parameters = 0;
  int64_t peak_mib = 0;  // the process's; evaluation holds no gradients and no moments
  Profile profile;       // of one more step
  Peaks peaks{};
  std::string device;
};

/// Modes train and eval. Throws Error for a mode, shape or precision that does not exist.
StepBench bench_steps(const BenchOptions& options);
/// tokens_per_second (median), its range, peak_mib, the profile and more, in one object.
nlohmann::json to_json(const StepBench& bench, const BenchOptions& options);
std::string text_of(const StepBench& bench, const BenchOptions& options);

/// Mode gemm: every matrix product of a training step, forward and backward, by layer.
/// Mode attention: its forward and backward pass by length, with the scheme's bias.
/// One row each with its figures; all in GFLOP/s count an addition and a multiplication as two.
nlohmann::ordered_json bench_gemm(const BenchOptions& options);
nlohmann::ordered_json bench_attention(const BenchOptions& options);

}  // namespace farsight
