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
/// gnuplot is, extrapolation.{svg,png} and recall.{svg,png} with the scripts that made them.
/// Returns the tables as text: perplexity by length, and at the shortest and the longest length
/// recall by distance, with the loss of a reader who remembers all of its window as the best
/// possible. Distances with fewer than 30 targets are in recall.csv only: chance rules them.
/// Throws Error, before anything is written, if a file is missing or damaged or has a length twice,
/// if runs were evaluated at different lengths, strides or distances, or if two have the same name.
std::string compare(const CompareOptions& options);

}  // namespace farsight
