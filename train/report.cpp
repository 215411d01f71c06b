// The report: see report.h. Each section is a function that returns its HTML, or "" where no run
// has left what it shows.
#include "train/report.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/compare.h"
#include "train/cost.h"
#include "train/csv.h"
#include "train/field_report.h"
#include "train/html.h"
#include "train/log.h"
#include "train/position_report.h"

namespace farsight {
namespace {

struct ReportedRun {
  std::filesystem::path folder;
  std::string label;
  RunState state;
};

using Runs = std::vector<ReportedRun>;

std::string section(const std::string& title, const std::string& text, const std::string& content) {
  return content.empty() ? "" : concat("<h2>", title, "</h2>\n<p>", text, "</p>\n", content);
}

std::string picture(const Plot& plot) { return html_picture(svg_of(plot), plot.title); }

/// f(run, csv) for each run that has a file of this name.
template <class F>
void for_each_csv(const Runs& runs, const char* name, const F& f) {
  for (const ReportedRun& run : runs)
    if (std::filesystem::exists(run.folder / name)) f(run, read_csv(run.folder / name));
}

std::string what_was_trained(const Runs& runs) {
  Table table{"",
              {{"run", "scheme", "parameters", "blocks", "width", "heads", "length", "tokens"}}};
  for (const ReportedRun& run : runs) {
    const Config& c = run.state.config;
    const int64_t tokens = run.state.step * c.batch * c.accumulate * c.model.length;
    table.rows.push_back({run.label, c.model.position,
                          short_number(static_cast<double>(run.state.parameters)),
                          concat(c.model.blocks), concat(c.model.width), concat(c.model.heads),
                          concat(c.model.length), short_number(static_cast<double>(tokens))});
  }
  return section("What was trained", "Length and tokens are those of the training.",
                 html_table(table));
}

std::string training_curves(const Runs& runs) {
  Plot plot;
  plot.title = "Training";
  plot.x_label = "tokens (millions)";
  plot.y_label = "loss (nats per token)";
  plot.marks = false;
  std::string csv = "run,tokens,loss,valid_loss\n";
  for_each_csv(runs, "log.csv", [&](const ReportedRun& run, const Csv& log) {
    Curve curve;
    curve.label = run.label;
    for (size_t row = 0; row < log.rows(); ++row) {
      curve.points.emplace_back(log.number(row, "tokens") / 1e6, log.number(row, "loss"));
      csv += concat(run.label, ',', log.text(row, "tokens"), ',', log.text(row, "loss"), ',',
                    log.text(row, "valid_loss"), '\n');
    }
    if (!curve.points.empty()) plot.curves.push_back(curve);
  });
  if (plot.curves.empty()) return "";
  add_doubling_ticks(plot);
  return section("Training", "Loss on the training text, a point for each line of the log.",
                 picture(plot) + html_download("training.csv", csv));
}

std::string extrapolation(const Runs& runs, const std::string& title) {
  std::vector<std::filesystem::path> folders;
  for (const ReportedRun& run : runs) folders.push_back(run.folder);
  const Comparison comparison =
      compare_runs(single_runs(folders), title, runs[0].state.config.model.length);
  std::string perplexity, recall;
  for (const auto& [name, plot] : comparison.plots)
    (name == "recall" ? recall : perplexity) += picture(plot);
  perplexity += html_table(comparison.perplexity);
  perplexity += html_download("extrapolation.csv", comparison.evaluations);
  for (const Table& table : comparison.recall) recall += html_table(table);
  if (!recall.empty()) recall += html_download("recall.csv", comparison.recalls);
  return section("Beyond the training length",
                 "Perplexity of a text cut into windows of each length. Where a curve stays flat, "
                 "the scheme extrapolates.",
                 perplexity) +
         section("Recall by distance",
                 "How often the likeliest token is the right one where it restates something said "
                 "so many tokens before, and cannot be known otherwise.",
                 recall);
}

std::string receptive_fields(const Runs& runs) {
  NamedFields fields;
  for_each_csv(runs, "field_curves.csv", [&](const ReportedRun& run, const Csv& curves) {
    std::map<int64_t, ReceptiveField> by_length;
    for (size_t row = 0; row < curves.rows(); ++row) {
      ReceptiveField& field = by_length[curves.integer(row, "length")];
      field.share.push_back(curves.number(row, "share"));
      field.length = static_cast<int64_t>(field.share.size());
      check(curves.integer(row, "tokens") == field.length &&
                curves.text(row, "model") == curves.text(0, "model"),
            run.folder.string(), "/field_curves.csv:", row + 2,
            ": expected one curve of one model, tokens by tokens, for each length");
    }
    if (by_length.empty()) return;
    fields.emplace_back(run.label, by_length.begin()->second);
    if (by_length.size() > 1) fields.emplace_back(run.label, by_length.rbegin()->second);
  });
  if (fields.empty()) return "";
  std::ostringstream rows;
  write_field_curves(rows, fields);
  return section("Receptive fields",
                 "The share of a prediction's gradient that lies in the newest tokens, at the "
                 "shortest and the longest length.",
                 picture(field_plot(fields, runs[0].state.config.model.length)) +
                     html_download("field_curves.csv", rows.str()));
}

std::string loss_by_position(const Runs& runs) {
  Plot plot =
      position_plot("Loss by position in the longest window", runs[0].state.config.model.length);
  std::string csv = "run,length,min_context,max_context,targets,loss\n";
  for_each_csv(runs, "position.csv", [&](const ReportedRun& run, const Csv& positions) {
    Curve curve;
    curve.label = run.label;
    const int64_t longest = positions.integer(std::max<size_t>(positions.rows(), 1) - 1, "length");
    for (size_t row = 0; row < positions.rows(); ++row) {
      csv += run.label;
      for (const char* column : {"length", "min_context", "max_context", "targets", "loss"})
        csv += concat(',', positions.text(row, column));
      csv += '\n';
      if (positions.integer(row, "length") == longest)
        curve.points.emplace_back(positions.number(row, "max_context") - 1,
                                  positions.number(row, "loss"));
    }
    plot.curves.push_back(curve);
  });
  if (plot.curves.empty()) return "";
  add_doubling_ticks(plot);
  return section("Loss by position", "Where in a long window a model breaks.",
                 picture(plot) + html_download("position.csv", csv));
}

std::string attention_maps(const Runs& runs) {
  std::string content;
  for_each_csv(runs, "attention.csv", [&](const ReportedRun& run, const Csv& rows) {
    const int64_t longest = rows.integer(std::max<size_t>(rows.rows(), 1) - 1, "length");
    AttentionMap map{longest, 0, {}};
    for (size_t row = 0; row < rows.rows(); ++row) {
      if (rows.integer(row, "length") != longest) continue;
      const int64_t distance = rows.integer(row, "distance");
      if (distance == 0)
        map.heads.push_back({rows.integer(row, "block"), rows.integer(row, "head"), {}, 0});
      const auto held = map.heads.empty() ? -1 : static_cast<int64_t>(map.heads.back().mass.size());
      check(held == distance && distance < longest, run.folder.string(), "/attention.csv:", row + 2,
            ": expected distance ", std::max<int64_t>(held, 0), " of a head, not ", distance);
      map.heads.back().mass.push_back(rows.number(row, "mass"));
    }
    for (const HeadAttention& head : map.heads)
      check(static_cast<int64_t>(head.mass.size()) == longest, run.folder.string(),
            "/attention.csv: block ", head.block, ", head ", head.head, " has ", head.mass.size(),
            " distances of ", longest);
    HeatMap heads = heat_map(map, 0.99);
    heads.title = concat(run.label, ": ", heads.title);
    std::string csv = "head,window99";
    for (const std::string& column : heads.columns) csv += concat(',', column);
    csv += '\n';
    for (const HeatMap::Row& row : heads.rows) {
      csv += concat(row.label, ',', row.note);
      for (const double value : row.values) csv += concat(',', value);
      csv += '\n';
    }
    content += html_picture(svg_of(heads), heads.title);
    content += html_download(run.label + "_attention.csv", csv);
  });
  return section(
      "Where the heads look",
      "Each head's attention by distance; to the right, the window that holds 99 % of it.",
      content);
}

std::string inference_costs(const Runs& runs) {
  std::vector<Cost> costs;
  for (const ReportedRun& run : runs) {
    if (!std::filesystem::exists(run.folder / "cost.csv")) continue;
    const std::vector<Cost> some = read_costs(run.folder / "cost.csv");
    costs.insert(costs.end(), some.begin(), some.end());
  }
  if (costs.empty()) return "";
  std::string content;
  for (const auto& [name, plot] : cost_plots(costs)) content += picture(plot);
  std::ostringstream csv;
  write_costs(csv, costs);
  return section("What a context costs",
                 "Time and memory against the length of the context, by attention window.",
                 content + html_download("cost.csv", csv.str()));
}

}  // namespace

void write_report(const std::vector<std::filesystem::path>& folders,
                  const std::filesystem::path& page, const std::string& title) {
  check(!folders.empty(), "no runs to report on");
  Runs runs;
  for (const auto& folder : folders) {
    const auto checkpoint = folder / "checkpoint.safetensors";
    check(std::filesystem::exists(checkpoint) && std::filesystem::exists(folder / "eval.csv"),
          folder.string(), ": is no finished run, which has a checkpoint.safetensors and an ",
          "eval.csv; make one with `farsight sweep`");
    runs.push_back({folder, label_of(folder), checkpoint_state(checkpoint)});
  }
  const std::string body = what_was_trained(runs) + training_curves(runs) +
                           extrapolation(runs, title) + receptive_fields(runs) +
                           loss_by_position(runs) + attention_maps(runs) + inference_costs(runs);
  write_file(page, [&](std::ostream& stream) { stream << html_page(title, body); });
}

}  // namespace farsight
