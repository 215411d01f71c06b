// What evaluations have left in the folders of runs: eval.csv and, where they are, recall.csv and
// field.csv.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace farsight {

/// Recall at one distance.
struct Bucket {
  double accuracy = 0, loss = 0, best_loss = 0;
};

/// What a run, or several that differ in their seed, came to.
struct RunResults {
  std::string label;
  std::map<int64_t, double> perplexity;                 // by length
  std::map<int64_t, double> field;                      // empirical receptive field by length
  std::map<int64_t, std::map<int64_t, Bucket>> recall;  // by length and smallest distance
  // What was evaluated: (length, stride) of each perplexity, (length, distance) of each bucket.
  std::set<std::pair<int64_t, int64_t>> windows, buckets;
  // Of several runs: the standard deviation of their perplexities.
  std::map<int64_t, double> deviation;
};

/// Runs that differ in their seed alone, and what they are called together.
struct RunGroup {
  std::string label;
  std::vector<std::filesystem::path> runs;
};

/// Groups of one run each, called by the folders' names.
std::vector<RunGroup> single_runs(const std::vector<std::filesystem::path>& folders);

struct GroupResults {
  std::vector<RunResults> means;     // one for each group
  std::string evaluations, recalls;  // all rows of all runs, as CSV with a column `run` in front
};

/// Throws Error if a file is missing or damaged or has a length twice, if runs were evaluated at
/// different lengths, strides or distances, or if two have the same name.
GroupResults read_results(const std::vector<RunGroup>& groups);

}  // namespace farsight
