// Reading runs' results: see run_results.h.
#include "train/run_results.h"

#include "core/error.h"
#include "train/csv.h"
#include "train/table.h"

namespace farsight {
namespace {

constexpr const char* kEvalColumns[] = {"length",    "stride",   "targets",      "nll",
                                        "token_ppl", "word_ppl", "bits_per_byte"};
constexpr const char* kRecallColumns[] = {"length", "min_distance", "max_distance", "targets",
                                          "loss",   "accuracy",     "best_loss"};

/// Of fewer targets than this, neither accuracy nor loss says much.
constexpr int64_t kLeastTargets = 30;

/// Copies a run's rows behind its label. Throws Error where a field is not a finite number.
template <class Columns>
void append_rows(std::string& csv, const std::string& label, const Csv& table,
                 const Columns& columns) {
  for (size_t row = 0; row < table.rows(); ++row) {
    csv += label;
    for (const char* column : columns) {
      table.number(row, column);
      csv += "," + table.text(row, column);
    }
    csv += '\n';
  }
}

template <class Columns>
std::string header_of(const Columns& columns) {
  std::string line = "run";
  for (const char* column : columns) line += std::string(",") + column;
  return line + '\n';
}

std::set<int64_t> lengths_of(const std::map<int64_t, double>& by_length) {
  std::set<int64_t> lengths;
  for (const auto& [length, value] : by_length) lengths.insert(length);
  return lengths;
}

/// The mean of runs that differ in their seed.
RunResults mean_of(const std::vector<RunResults>& runs, const std::string& label) {
  RunResults mean = runs[0];
  mean.label = label;
  const auto count = static_cast<double>(runs.size());
  for (auto& [length, value] : mean.perplexity) {
    std::vector<double> values;
    for (const RunResults& run : runs) values.push_back(run.perplexity.at(length));
    const Spread spread = spread_of(values);
    value = spread.mean;
    if (runs.size() > 1) mean.deviation[length] = spread.deviation;
  }
  for (auto& [length, value] : mean.field) {
    value = 0;
    for (const RunResults& run : runs) value += run.field.at(length) / count;
  }
  for (auto& [length, buckets] : mean.recall) {
    for (auto& [distance, bucket] : buckets) {
      bucket = {};
      for (const RunResults& run : runs) {
        const Bucket& one = run.recall.at(length).at(distance);
        bucket.accuracy += one.accuracy / count;
        bucket.loss += one.loss / count;
        bucket.best_loss += one.best_loss / count;
      }
    }
  }
  return mean;
}

RunResults read_run(const std::filesystem::path& folder, std::string& evaluations,
                    std::string& recalls) {
  RunResults run;
  run.label = label_of(folder);
  const std::string eval_path = folder / "eval.csv", recall_path = folder / "recall.csv";
  const Csv table = read_csv(eval_path);
  append_rows(evaluations, run.label, table, kEvalColumns);
  for (size_t row = 0; row < table.rows(); ++row) {
    const int64_t length = table.integer(row, "length");
    const double perplexity = table.number(row, "token_ppl");
    // The plot takes logarithms of both.
    check(length > 0 && perplexity > 0, eval_path, ":", row + 2,
          ": length and token_ppl must be positive, not ", length, " and ", perplexity);
    check(run.perplexity.emplace(length, perplexity).second, eval_path, ":", row + 2,
          ": evaluated at length ", length, " twice; compare needs one row per length");
    run.windows.emplace(length, table.integer(row, "stride"));
  }
  check(!run.perplexity.empty(), eval_path, ": holds no evaluation");
  if (std::filesystem::exists(folder / "field.csv")) {
    const Csv field = read_csv(folder / "field.csv");
    for (size_t row = 0; row < field.rows(); ++row)
      check(run.field.emplace(field.integer(row, "length"), field.number(row, "empirical")).second,
            folder.string(), "/field.csv:", row + 2, ": length ", field.integer(row, "length"),
            " twice; compare needs one row per length");
  }
  if (!std::filesystem::exists(recall_path)) return run;
  const Csv recall = read_csv(recall_path);
  append_rows(recalls, run.label, recall, kRecallColumns);
  for (size_t row = 0; row < recall.rows(); ++row) {
    const int64_t length = recall.integer(row, "length");
    const int64_t distance = recall.integer(row, "min_distance");
    check(distance > 0, recall_path, ":", row + 2, ": min_distance must be positive, not ",
          distance);
    if (recall.integer(row, "targets") < kLeastTargets) continue;
    const Bucket bucket{recall.number(row, "accuracy"), recall.number(row, "loss"),
                        recall.number(row, "best_loss")};
    check(run.recall[length].emplace(distance, bucket).second, recall_path, ":", row + 2,
          ": recall at length ", length, " and distance ", distance,
          " twice; compare needs one row for each");
    run.buckets.emplace(length, distance);
  }
  return run;
}

}  // namespace

std::vector<RunGroup> single_runs(const std::vector<std::filesystem::path>& folders) {
  std::vector<RunGroup> groups;
  for (const auto& folder : folders) groups.push_back({label_of(folder), {folder}});
  return groups;
}

GroupResults read_results(const std::vector<RunGroup>& groups) {
  check(!groups.empty(), "no runs to compare");
  GroupResults results{{}, header_of(kEvalColumns), header_of(kRecallColumns)};
  std::map<std::string, std::filesystem::path> folders;
  RunResults first;
  for (const RunGroup& group : groups) {
    std::vector<RunResults> members;
    for (const auto& folder : group.runs) {
      RunResults run = read_run(folder, results.evaluations, results.recalls);
      const auto [other, is_new] = folders.emplace(run.label, folder);
      check(is_new, other->second.string(), " and ", folder.string(), " are both called ",
            run.label, ", after the folder; rename one of them");
      if (folders.size() == 1) first = run;
      check(run.windows == first.windows && run.buckets == first.buckets &&
                lengths_of(run.field) == lengths_of(first.field),
            folder.string(), " and ", groups[0].runs[0].string(),
            " were not evaluated at the same lengths, strides and distances; evaluate them alike");
      members.push_back(std::move(run));
    }
    results.means.push_back(mean_of(members, group.label));
  }
  return results;
}

}  // namespace farsight
