// Comparing runs: see compare.h.
#include "train/compare.h"

#include <iomanip>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/gnuplot.h"

namespace farsight {
namespace {

/// The shortest and the longest length, or the one that there is.
template <class Value>
std::set<int64_t> ends_of(const std::map<int64_t, Value>& by_length) {
  return {by_length.begin()->first, by_length.rbegin()->first};
}

Table extrapolation_table(const std::vector<RunResults>& runs, int64_t trained) {
  std::vector<std::vector<std::string>> rows(1, {"run"});
  for (const auto& [length, value] : runs[0].perplexity) {
    std::ostringstream head;
    head << length << " (" << std::setprecision(3)
         << static_cast<double>(length) / static_cast<double>(trained) << "x)";
    rows[0].push_back(head.str());
  }
  for (const RunResults& run : runs) {
    rows.push_back({run.label});
    for (const auto& [length, value] : run.perplexity) {
      const auto deviation = run.deviation.find(length);
      rows.back().push_back(fixed(value, 2) + (deviation == run.deviation.end()
                                                   ? ""
                                                   : " ±" + fixed(deviation->second, 2)));
    }
  }
  std::string title = concat("Perplexity per token by evaluation length (trained at ", trained);
  if (!runs[0].field.empty()) {
    title += "), and empirical receptive field (tokens";
    for (const int64_t length : ends_of(runs[0].field)) {
      rows[0].push_back(concat("field at ", length));
      for (size_t i = 0; i < runs.size(); ++i)
        rows[i + 1].push_back(fixed(runs[i].field.at(length), 0));
    }
  }
  return {title + ")", rows};
}

/// Accuracy and loss by distance at one evaluation length.
Table recall_table(const std::vector<RunResults>& runs, int64_t length) {
  std::vector<std::vector<std::string>> rows(1, {""});
  for (const auto& [distance, bucket] : runs[0].recall.at(length))
    rows[0].push_back(concat(distance, "-", 2 * distance - 1));
  const auto add_row = [&](const std::string& name, const RunResults& run, const auto& field) {
    rows.push_back({"  " + name});
    for (const auto& [distance, bucket] : run.recall.at(length))
      rows.back().push_back(field(bucket));
  };
  rows.push_back({"accuracy in %"});
  for (const RunResults& run : runs)
    add_row(run.label, run, [](const Bucket& b) { return fixed(100 * b.accuracy, 1); });
  rows.push_back({"loss in nats"});
  for (const RunResults& run : runs)
    add_row(run.label, run, [](const Bucket& b) { return fixed(b.loss, 2); });
  add_row("best possible", runs[0], [](const Bucket& b) { return fixed(b.best_loss, 2); });
  return {concat("Recall by distance, evaluated at ", length), rows};
}

Plot extrapolation_plot(const std::vector<RunResults>& runs, const std::string& title,
                        int64_t trained) {
  Plot plot;
  plot.title = title;
  plot.x_label = "evaluation length (tokens)";
  plot.y_label = "perplexity per token";
  plot.log_y = true;
  plot.marked_x = static_cast<double>(trained);
  plot.mark_label = "training length";
  for (const auto& [length, value] : runs[0].perplexity)
    plot.x_ticks.push_back(static_cast<double>(length));
  for (const RunResults& run : runs) {
    Curve curve;
    curve.label = run.label;
    for (const auto& [length, value] : run.perplexity)
      curve.points.emplace_back(static_cast<double>(length), value);
    plot.curves.push_back(curve);
  }
  return plot;
}

Plot recall_plot(const std::vector<RunResults>& runs, int64_t length, int64_t trained) {
  Plot plot;
  plot.title = concat("Recall of what was said before, evaluated at ", length);
  plot.x_label = "distance to the latest mention (tokens)";
  plot.y_label = "recalled (%)";
  plot.marked_x = static_cast<double>(trained);
  plot.mark_label = "training length";
  for (const auto& [distance, bucket] : runs[0].recall.at(length))
    plot.x_ticks.push_back(static_cast<double>(distance));
  for (const RunResults& run : runs) {
    Curve curve;
    curve.label = run.label;
    for (const auto& [distance, bucket] : run.recall.at(length))
      curve.points.emplace_back(static_cast<double>(distance), 100 * bucket.accuracy);
    plot.curves.push_back(curve);
  }
  return plot;
}

}  // namespace

Comparison compare_runs(const std::vector<RunGroup>& groups, const std::string& title,
                        int64_t trained) {
  GroupResults results = read_results(groups);
  const std::vector<RunResults>& runs = results.means;
  if (trained == 0) trained = runs[0].perplexity.begin()->first;
  Comparison comparison;
  comparison.evaluations = std::move(results.evaluations);
  comparison.perplexity = extrapolation_table(runs, trained);
  comparison.plots.emplace_back("extrapolation", extrapolation_plot(runs, title, trained));
  if (!runs[0].recall.empty()) {
    comparison.recalls = std::move(results.recalls);
    for (const int64_t length : ends_of(runs[0].recall))
      comparison.recall.push_back(recall_table(runs, length));
    comparison.plots.emplace_back("recall",
                                  recall_plot(runs, runs[0].recall.rbegin()->first, trained));
  }
  return comparison;
}

std::string compare(const CompareOptions& options) {
  const Comparison comparison = compare_runs(options.groups, options.title, options.trained);
  const auto write = [&](const char* name, const std::string& text) {
    write_file(options.out / name, [&](std::ostream& stream) { stream << text; });
    return (options.out / name).string() + "\n";
  };
  std::string report, files;
  report += concat("\n", text_of(comparison.perplexity));
  for (const Table& table : comparison.recall) report += concat("\n", text_of(table));
  files += write("extrapolation.csv", comparison.evaluations);
  if (!comparison.recalls.empty()) files += write("recall.csv", comparison.recalls);
  for (const auto& [name, plot] : comparison.plots)
    files += pictures_of(options.out / name, write_plot(options.out / name, plot));
  return report + "\nWritten:\n" + files;
}

}  // namespace farsight
