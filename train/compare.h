// Several runs side by side: tables by scheme and length, CSV and a plot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/plot.h"
#include "train/run_results.h"
#include "train/table.h"

namespace farsight {

struct Comparison {
  Table perplexity;
  std::vector<Table> recall;                        // at the shortest and the longest length
  std::vector<std::pair<std::string, Plot>> plots;  // by name
  std::string evaluations, recalls;                 // CSV; no recalls if there are no marks
};

/// Side by side, means over each group's runs. `trained` is the training length, 0 = the shortest
/// evaluated. Throws Error as read_results() does.
Comparison compare_runs(const std::vector<RunGroup>& groups, const std::string& title,
                        int64_t trained);

struct CompareOptions {
  std::vector<RunGroup> groups;
  std::filesystem::path out;
  std::string title = "Perplexity beyond the training length";
  int64_t trained = 0;  // the training length; 0 = the shortest evaluated
};

/// Reads each run's eval.csv and, where they are, recall.csv and field.csv. Writes
/// extrapolation.csv, recall.csv and, where gnuplot is, extrapolation.{svg,png} and
/// recall.{svg,png} with the scripts that made them. Returns the tables as text, means over each
/// group's runs: perplexity by length, with its standard deviation where a group has several runs,
/// and the empirical receptive field at the shortest and the longest length; and at these two
/// recall by distance, with the loss of a reader who remembers all of its window as the best
/// possible. Distances with fewer than 30 targets are in recall.csv only: chance rules them. Throws
/// Error, before anything is written, if a file is missing or damaged or has a length twice, if
/// runs were evaluated at different lengths, strides or distances, or if two have the same name.
std::string compare(const CompareOptions& options);

}  // namespace farsight
