// What a context costs: time, memory and perplexity against its length, under different attention
// windows.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "train/device.h"
#include "train/plot.h"
#include "train/token_source.h"
#include "train/windows.h"

namespace farsight {

/// A model under certain windows.
struct CostCase {
  std::string label;  // "alibi auto"
  std::string checkpoint;
  WindowOptions windows;  // "full" = none at all
};

/// "CHECKPOINT=WINDOW", WINDOW being full, auto, measured or numbers as for --window.
CostCase cost_case(const std::string& text, double epsilon);

struct CostOptions {
  std::vector<int64_t> lengths;
  int64_t targets = 65536;  // scored at each length, and one window of it at least
  int64_t generated = 64;   // tokens generated behind a context of the length
  DeviceOptions device;
};

/// One case at one length. Each half is measured in a process of its own, so that the peak is the
/// operating system's account of it alone.
struct Cost {
  std::string label;
  int64_t length = 0, targets = 0;
  double token_ppl = 0, eval_tokens_per_second = 0;
  int64_t eval_peak_mib = 0;
  double generate_tokens_per_second = 0, cache_mib = 0;
  int64_t generate_peak_mib = 0;
};

/// Measures every case at every length; prints a line for each to `say` as it comes. Must be called
/// before anything has used threads, since it forks. Throws Error if a case fails, with its
/// message.
std::vector<Cost> measure_costs(const std::vector<CostCase>& cases, const CostOptions& options,
                                const TokenSource& text, std::ostream& say);

/// The columns of Cost, with `case` for the label.
void write_costs(std::ostream& stream, const std::vector<Cost>& costs);

/// What write_costs() has written. Throws Error if the file is damaged.
std::vector<Cost> read_costs(const std::filesystem::path& path);

/// Time and memory against length, by name.
std::vector<std::pair<std::string, Plot>> cost_plots(const std::vector<Cost>& costs);

/// Writes cost.csv and, where gnuplot is, pictures of time and memory against length. Returns the
/// files' names, a line each.
std::string write_cost_report(const std::filesystem::path& folder, const std::vector<Cost>& costs);

}  // namespace farsight
