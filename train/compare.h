// Several runs side by side: tables by scheme and length, CSV and a plot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

/// Runs that differ in their seed alone, and what they are called together.
struct RunGroup {
  std::string label;
  std::vector<std::filesystem::path> runs;  // folders with an eval.csv, perhaps more
};

struct CompareOptions {
  std::vector<RunGroup> groups;
  std::filesystem::path out;
  std::string title = "Perplexity beyond the training length";
};

/// Groups of one run each, called by the folders' names.
std::vector<RunGroup> single_runs(const std::vector<std::filesystem::path>& folders);

/// Reads each run's eval.csv and, where they are, recall.csv and field.csv; the shortest length
/// evaluated is taken as the training length. Writes extrapolation.csv, recall.csv and, where
/// gnuplot is, extrapolation.{svg,png} and recall.{svg,png} with the scripts that made them.
/// Returns the tables as text, means over each group's runs: perplexity by length, with its
/// standard deviation where a group has several runs, and the empirical receptive field at the
/// shortest and the longest length; and at these two recall by distance, with the loss of a reader
/// who remembers all of its window as the best possible. Distances with fewer than 30 targets are
/// in recall.csv only: chance rules them.
/// Throws Error, before anything is written, if a file is missing or damaged or has a length twice,
/// if runs were evaluated at different lengths, strides or distances, or if two have the same name.
std::string compare(const CompareOptions& options);

}  // namespace farsight
