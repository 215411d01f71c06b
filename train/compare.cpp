// Comparing runs: see compare.h.
#include "train/compare.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/csv.h"
#include "train/gnuplot.h"
#include "train/plot.h"
#include "train/table.h"

namespace farsight {
namespace {

constexpr const char* kEvalColumns[] = {"length",    "stride",   "targets",      "nll",
                                        "token_ppl", "word_ppl", "bits_per_byte"};
constexpr const char* kRecallColumns[] = {"length", "min_distance", "max_distance", "targets",
                                          "loss",   "accuracy",     "best_loss"};

/// Of fewer targets than this, neither accuracy nor loss says much.
constexpr int64_t kLeastTargets = 30;

struct Bucket {
  double accuracy = 0, loss = 0, best_loss = 0;
};

struct Run {
  std::string label;
  std::map<int64_t, double> perplexity;                 // by length
  std::map<int64_t, double> field;                      // empirical receptive field by length
  std::map<int64_t, std::map<int64_t, Bucket>> recall;  // by length and smallest distance
  // What was evaluated: (length, stride) of each perplexity, (length, distance) of each bucket.
  std::set<std::pair<int64_t, int64_t>> windows, buckets;
  // Of several runs: the standard deviation of their perplexities.
  std::map<int64_t, double> deviation;
};

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

/// The shortest and the longest length, or the one that there is.
template <class Value>
std::set<int64_t> ends_of(const std::map<int64_t, Value>& by_length) {
  return {by_length.begin()->first, by_length.rbegin()->first};
}

/// The mean of runs that differ in their seed.
Run mean_of(const std::vector<Run>& runs, const std::string& label) {
  Run mean = runs[0];
  mean.label = label;
  const auto count = static_cast<double>(runs.size());
  for (auto& [length, value] : mean.perplexity) {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(run.perplexity.at(length));
    const Spread spread = spread_of(values);
    value = spread.mean;
    if (runs.size() > 1) mean.deviation[length] = spread.deviation;
  }
  for (auto& [length, value] : mean.field) {
    value = 0;
    for (const Run& run : runs) value += run.field.at(length) / count;
  }
  for (auto& [length, buckets] : mean.recall) {
    for (auto& [distance, bucket] : buckets) {
      bucket = {};
      for (const Run& run : runs) {
        const Bucket& one = run.recall.at(length).at(distance);
        bucket.accuracy += one.accuracy / count;
        bucket.loss += one.loss / count;
        bucket.best_loss += one.best_loss / count;
      }
    }
  }
  return mean;
}

std::string extrapolation_table(const std::vector<Run>& runs) {
  const int64_t shortest = runs[0].perplexity.begin()->first;
  std::vector<std::vector<std::string>> rows(1, {"run"});
  for (const auto& [length, value] : runs[0].perplexity) {
    std::ostringstream head;
    head << length << " (" << std::setprecision(3) << static_cast<double>(length) / shortest
         << "x)";
    rows[0].push_back(head.str());
  }
  for (const Run& run : runs) {
    rows.push_back({run.label});
    for (const auto& [length, value] : run.perplexity) {
      const auto deviation = run.deviation.find(length);
      rows.back().push_back(fixed(value, 2) + (deviation == run.deviation.end()
                                                   ? ""
                                                   : " ±" + fixed(deviation->second, 2)));
    }
  }
  std::string title = concat("Perplexity per token by evaluation length (trained at ", shortest);
  if (!runs[0].field.empty()) {
    title += "), and empirical receptive field (tokens";
    for (const int64_t length : ends_of(runs[0].field)) {
      rows[0].push_back(concat("field at ", length));
      for (size_t i = 0; i < runs.size(); ++i)
        rows[i + 1].push_back(fixed(runs[i].field.at(length), 0));
    }
  }
  return title + ")\n" + aligned(rows);
}

/// Accuracy and loss by distance at one evaluation length.
std::string recall_table(const std::vector<Run>& runs, int64_t length) {
  std::vector<std::vector<std::string>> rows(1, {""});
  for (const auto& [distance, bucket] : runs[0].recall.at(length))
    rows[0].push_back(concat(distance, "-", 2 * distance - 1));
  const auto add_row = [&](const std::string& name, const Run& run, const auto& field) {
    rows.push_back({"  " + name});
    for (const auto& [distance, bucket] : run.recall.at(length))
      rows.back().push_back(field(bucket));
  };
  rows.push_back({"accuracy in %"});
  for (const Run& run : runs)
    add_row(run.label, run, [](const Bucket& b) { return fixed(100 * b.accuracy, 1); });
  rows.push_back({"loss in nats"});
  for (const Run& run : runs)
    add_row(run.label, run, [](const Bucket& b) { return fixed(b.loss, 2); });
  add_row("best possible", runs[0], [](const Bucket& b) { return fixed(b.best_loss, 2); });
  return concat("\nRecall by distance, evaluated at ", length, "\n", aligned(rows));
}

Run read_run(const std::filesystem::path& folder, std::string& evaluations, std::string& recalls) {
  Run run;
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
      run.field[field.integer(row, "length")] = field.number(row, "empirical");
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

Plot extrapolation_plot(const std::vector<Run>& runs, const std::string& title) {
  Plot plot;
  plot.title = title;
  plot.x_label = "evaluation length (tokens)";
  plot.y_label = "perplexity per token";
  plot.log_y = true;
  plot.marked_x = static_cast<double>(runs[0].perplexity.begin()->first);
  plot.mark_label = "training length";
  for (const auto& [length, value] : runs[0].perplexity)
    plot.x_ticks.push_back(static_cast<double>(length));
  for (const Run& run : runs) {
    Curve curve;
    curve.label = run.label;
    for (const auto& [length, value] : run.perplexity)
      curve.points.emplace_back(static_cast<double>(length), value);
    plot.curves.push_back(curve);
  }
  return plot;
}

Plot recall_plot(const std::vector<Run>& runs, int64_t length, int64_t trained) {
  Plot plot;
  plot.title = concat("Recall of what was said before, evaluated at ", length);
  plot.x_label = "distance to the latest mention (tokens)";
  plot.y_label = "recalled (%)";
  plot.marked_x = static_cast<double>(trained);
  plot.mark_label = "training length";
  for (const auto& [distance, bucket] : runs[0].recall.at(length))
    plot.x_ticks.push_back(static_cast<double>(distance));
  for (const Run& run : runs) {
    Curve curve;
    curve.label = run.label;
    for (const auto& [distance, bucket] : run.recall.at(length))
      curve.points.emplace_back(static_cast<double>(distance), 100 * bucket.accuracy);
    plot.curves.push_back(curve);
  }
  return plot;
}

}  // namespace

std::vector<RunGroup> single_runs(const std::vector<std::filesystem::path>& folders) {
  std::vector<RunGroup> groups;
  for (const auto& folder : folders) groups.push_back({label_of(folder), {folder}});
  return groups;
}

std::string compare(const CompareOptions& options) {
  check(!options.groups.empty(), "no runs to compare");
  std::string evaluations = header_of(kEvalColumns), recalls = header_of(kRecallColumns);
  std::vector<Run> runs;  // a mean for each group
  std::map<std::string, std::filesystem::path> folders;
  Run first;
  for (const RunGroup& group : options.groups) {
    std::vector<Run> members;
    for (const auto& folder : group.runs) {
      Run run = read_run(folder, evaluations, recalls);
      const auto [other, is_new] = folders.emplace(run.label, folder);
      check(is_new, other->second.string(), " and ", folder.string(), " are both called ",
            run.label, ", after the folder; rename one of them");
      if (folders.size() == 1) first = run;
      check(run.windows == first.windows && run.buckets == first.buckets &&
                lengths_of(run.field) == lengths_of(first.field),
            folder.string(), " and ", options.groups[0].runs[0].string(),
            " were not evaluated at the same lengths, strides and distances; evaluate them alike");
      members.push_back(std::move(run));
    }
    runs.push_back(mean_of(members, group.label));
  }
  const auto write = [&](const char* name, const std::string& text) {
    write_file(options.out / name, [&](std::ostream& stream) { stream << text; });
    return (options.out / name).string() + "\n";
  };
  std::string report = "\n" + extrapolation_table(runs), files;
  files += write("extrapolation.csv", evaluations);
  std::vector<std::pair<std::string, Plot>> plots{
      {"extrapolation", extrapolation_plot(runs, options.title)}};
  if (!runs[0].recall.empty()) {
    const int64_t shortest = runs[0].recall.begin()->first;
    const int64_t longest = runs[0].recall.rbegin()->first;
    for (const int64_t length : ends_of(runs[0].recall)) report += recall_table(runs, length);
    files += write("recall.csv", recalls);
    plots.emplace_back("recall", recall_plot(runs, longest, shortest));
  }
  for (const auto& [name, plot] : plots)
    files += pictures_of(options.out / name, write_plot(options.out / name, plot));
  return report + "\nWritten:\n" + files;
}

}  // namespace farsight
