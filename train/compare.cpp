// Comparing runs: see compare.h.
#include "train/compare.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/csv.h"
#include "train/plot.h"

namespace farsight {
namespace {

constexpr const char* kEvalColumns[] = {"length",    "stride",   "targets",      "nll",
                                        "token_ppl", "word_ppl", "bits_per_byte"};
constexpr const char* kRecallColumns[] = {"length", "min_distance", "max_distance", "targets",
                                          "loss",   "accuracy",     "best_loss"};

struct Bucket {
  double accuracy, loss, best_loss;
};

struct Run {
  std::string label;
  std::map<int64_t, double> perplexity;                 // by length
  std::map<int64_t, std::map<int64_t, Bucket>> recall;  // by length and smallest distance
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

std::string extrapolation_table(const std::vector<Run>& runs) {
  const int64_t shortest = runs[0].perplexity.begin()->first;
  std::ostringstream table;
  table << "Perplexity per token by evaluation length (trained at " << shortest << ")\n"
        << std::left << std::setw(14) << "scheme" << std::right;
  for (const auto& [length, value] : runs[0].perplexity) {
    std::ostringstream head;
    head << length << " (" << std::setprecision(3) << static_cast<double>(length) / shortest
         << "x)";
    table << std::setw(13) << head.str();
  }
  table << '\n';
  for (const Run& run : runs) {
    table << std::left << std::setw(14) << run.label << std::right << std::fixed;
    for (const auto& [length, value] : run.perplexity)
      table << std::setw(13) << std::setprecision(2) << value;
    table << '\n';
  }
  return table.str();
}

/// Accuracy in percent by distance at one evaluation length.
std::string recall_table(const std::vector<Run>& runs, int64_t length) {
  std::ostringstream table;
  const auto& columns = runs[0].recall.at(length);
  table << "\nRecall accuracy in % by distance, evaluated at " << length << "\n"
        << std::left << std::setw(14) << "scheme" << std::right;
  for (const auto& [distance, bucket] : columns)
    table << std::setw(10) << concat(distance, "-", 2 * distance - 1);
  table << '\n' << std::fixed << std::setprecision(1);
  for (const Run& run : runs) {
    table << std::left << std::setw(14) << run.label << std::right;
    for (const auto& [distance, bucket] : run.recall.at(length))
      table << std::setw(10) << 100 * bucket.accuracy;
    table << '\n';
  }
  return table.str();
}

Run read_run(const std::filesystem::path& folder, std::string& evaluations, std::string& recalls) {
  Run run;
  run.label = (folder / "").parent_path().filename().string();
  const Csv table = read_csv(folder / "eval.csv");
  append_rows(evaluations, run.label, table, kEvalColumns);
  for (size_t row = 0; row < table.rows(); ++row) {
    const int64_t length = table.integer(row, "length");
    const double perplexity = table.number(row, "token_ppl");
    // The plot takes logarithms of both.
    check(length > 0 && perplexity > 0, (folder / "eval.csv").string(), ":", row + 2,
          ": length and token_ppl must be positive, not ", length, " and ", perplexity);
    run.perplexity[length] = perplexity;
  }
  check(!run.perplexity.empty(), (folder / "eval.csv").string(), ": holds no evaluation");
  if (!std::filesystem::exists(folder / "recall.csv")) return run;
  const Csv recall = read_csv(folder / "recall.csv");
  append_rows(recalls, run.label, recall, kRecallColumns);
  for (size_t row = 0; row < recall.rows(); ++row)
    run.recall[recall.integer(row, "length")][recall.integer(row, "min_distance")] = {
        recall.number(row, "accuracy"), recall.number(row, "loss"),
        recall.number(row, "best_loss")};
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
    Curve curve{run.label, {}};
    for (const auto& [length, value] : run.perplexity)
      curve.points.emplace_back(static_cast<double>(length), value);
    plot.curves.push_back(curve);
  }
  return plot;
}

Plot recall_plot(const std::vector<Run>& runs, int64_t length, int64_t trained) {
  Plot plot;
  plot.title = concat("Recall of names by distance, evaluated at ", length);
  plot.x_label = "distance to the latest mention (tokens)";
  plot.y_label = "recalled (%)";
  plot.marked_x = static_cast<double>(trained);
  plot.mark_label = "training length";
  for (const auto& [distance, bucket] : runs[0].recall.at(length))
    plot.x_ticks.push_back(static_cast<double>(distance));
  for (const Run& run : runs) {
    Curve curve{run.label, {}};
    for (const auto& [distance, bucket] : run.recall.at(length))
      curve.points.emplace_back(static_cast<double>(distance), 100 * bucket.accuracy);
    plot.curves.push_back(curve);
  }
  return plot;
}

}  // namespace

std::string compare(const CompareOptions& options) {
  check(!options.runs.empty(), "no runs to compare");
  std::string evaluations = header_of(kEvalColumns), recalls = header_of(kRecallColumns);
  std::vector<Run> runs;
  for (const auto& folder : options.runs) {
    runs.push_back(read_run(folder, evaluations, recalls));
    const auto same_keys = [](const auto& a, const auto& b) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                        [](const auto& x, const auto& y) { return x.first == y.first; });
    };
    check(same_keys(runs.back().perplexity, runs[0].perplexity) &&
              same_keys(runs.back().recall, runs[0].recall),
          folder.string(), " and ", options.runs[0].string(),
          " were not evaluated at the same lengths; evaluate them alike");
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
    for (const int64_t length : std::set<int64_t>{shortest, longest})
      report += recall_table(runs, length);
    files += write("recall.csv", recalls);
    plots.emplace_back("recall", recall_plot(runs, longest, shortest));
  }
  for (const auto& [name, plot] : plots) {
    const auto stem = options.out / name;
    if (write_plot(stem, plot))
      files += stem.string() + ".svg\n" + stem.string() + ".png\n";
    else
      files += stem.string() +
               ".gp (the plot's script; no picture, because gnuplot was not found: "
               "run make deps)\n";
  }
  return report + "\nWritten:\n" + files;
}

}  // namespace farsight
