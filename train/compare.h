// Several runs side by side: tables by scheme and length, CSV and a plot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

struct CompareOptions {
  std::vector<std::filesystem::path> runs;  // folders with an eval.csv and perhaps a recall.csv
  std::filesystem::path out;
  std::string title = "Perplexity beyond the training length";
};

/// Reads each run's evaluations; a run is called by its folder's name, and the shortest length
/// evaluated is taken as the training length. Writes extrapolation.csv, recall.csv and, where
/// gnuplot is, extrapolation.{svg,png} with the script that made them. Returns the tables as text.
/// Throws Error if a file is missing or damaged, or runs were evaluated at different lengths.
std::string compare(const CompareOptions& options);

}  // namespace farsight
