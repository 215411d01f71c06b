// Sweeps: see sweep.h.
#include "train/sweep.h"

#include <algorithm>
#include <iomanip>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/attention_map.h"
#include "train/compare.h"
#include "train/csv.h"
#include "train/gnuplot.h"
#include "train/log.h"
#include "train/memory.h"
#include "train/receptive_field.h"
#include "train/report.h"
#include "train/table.h"

namespace farsight {
namespace {

std::filesystem::path checkpoint_of(const SweepRun& run) {
  return std::filesystem::path(run.config.out) / "checkpoint.safetensors";
}

/// Whether a CSV that the checkpoint's run has left has a row for each length, and no others, each
/// with this value in a column.
bool is_done(const std::filesystem::path& csv, const std::filesystem::path& checkpoint,
             const std::vector<int64_t>& lengths, const std::string& column, int64_t value) {
  if (!std::filesystem::exists(csv) ||
      std::filesystem::last_write_time(csv) < std::filesystem::last_write_time(checkpoint))
    return false;
  std::vector<int64_t> found;
  try {
    const Csv table = read_csv(csv);
    for (size_t row = 0; row < table.rows(); ++row) {
      found.push_back(table.integer(row, "length"));
      if (table.integer(row, column) != value) return false;
    }
  } catch (const Error&) {
    return false;  // damaged: measured again
  }
  return found == lengths;
}

/// Trains a run to its end unless that has been done. Returns false if interrupted.
bool train_run(const SweepRun& run, const TokenSource& train_text, const TokenSource& valid,
               Backend& backend, std::ostream& say) {
  const auto checkpoint = checkpoint_of(run);
  if (std::filesystem::exists(checkpoint) &&
      checkpoint_state(checkpoint).step >= run.config.steps) {
    say << "trained already: " << checkpoint.string() << '\n';
    return true;
  }
  return train(run.config, train_text, &valid, true, backend, say);
}

/// Throws Error if a run's folder holds one with other settings.
void check_folder(const SweepRun& run, const TokenSource& train_text) {
  const auto checkpoint = checkpoint_of(run);
  if (!std::filesystem::exists(checkpoint)) return;
  const RunState state = checkpoint_state(checkpoint);
  const std::vector<std::string> changes =
      changed_settings(run.config, state.config, {"Model", "Positional schemes", "Training"});
  check(changes.empty(), checkpoint.string(),
        ": was trained with other settings: ", changes.empty() ? "" : changes[0],
        "; use another --out");
  check(state.tokenizer == train_text.tokenizer, checkpoint.string(),
        ": was trained on tokens of another tokenizer; use the same --data, or another --out");
}

/// Throws Error if a run cannot be trained, or not be measured at all lengths: hours later would be
/// late.
void check_run(const SweepRun& run, const SweepOptions& options,
               const std::vector<int64_t>& lengths, const TokenSource& train_text,
               const TokenSource& valid, Backend& backend) {
  check_training(run.config, train_text);
  const auto scheme = position_of(run.config.model, backend);
  check(valid.size > run.config.model.length, valid.name, ": has ", valid.size,
        " tokens, too few for one sequence of ", run.config.model.length,
        " and the token after it");
  for (const int64_t length : lengths) {
    check(length > 0, "a length must be positive, not ", length);
    check(valid.size > length, valid.name, ": has ", valid.size,
          " tokens, too few for one window of ", length, " and the token after it");
    check(valid.size - length >= options.sequences, valid.name, ": has ", valid.size,
          " tokens, too few for ", options.sequences, " different sequences of ", length);
    require_reach(run.config.model, *scheme, length);
    require_memory(forward_bytes(run.config.model, static_cast<double>(length), backend) +
                       bias_bytes(*scheme, length),
                   backend, concat("an evaluation at length ", length));
  }
  require_memory(training_bytes(run.config, *scheme, backend), backend, "its training");
  check_folder(run, train_text);
}

void measure_run(const SweepRun& run, const SweepOptions& options,
                 const std::vector<int64_t>& lengths, const TokenSource& valid,
                 const std::vector<RecallMark>& marks, Backend& backend, std::ostream& say) {
  const std::filesystem::path folder = run.config.out, checkpoint = checkpoint_of(run);
  const auto exists = [&](const char* name) { return std::filesystem::exists(folder / name); };
  const bool evaluated =
      is_done(folder / "eval.csv", checkpoint, lengths, "targets", valid.size - 1) &&
      exists("position.csv") && (marks.empty() || exists("recall.csv"));
  const bool with_field = options.sequences > 0;
  const bool has_field =
      is_done(folder / "field.csv", checkpoint, lengths, "sequences", options.sequences) &&
      exists("field_curves.csv") && exists("attention.csv");
  if (evaluated && (has_field || !with_field)) return;

  const TrainedModel trained = load_checkpoint(checkpoint, backend);
  if (!evaluated) {
    EvaluationOptions settings;
    if (!marks.empty()) settings.marks = &marks;
    const auto evaluations = evaluate_lengths(*trained.model, valid, lengths, settings, say);
    if (!marks.empty())
      write_file(folder / "recall.csv", [&](auto& csv) { write_recall(csv, evaluations); });
    write_file(folder / "position.csv", [&](auto& csv) { write_by_position(csv, evaluations); });
    write_file(folder / "eval.csv", [&](auto& csv) { write_evaluations(csv, evaluations); });
  }
  if (with_field && !has_field) {
    NamedFields fields;
    ProgressBar bar;
    for (const int64_t length : lengths) {
      FieldOptions settings;
      settings.length = length;
      settings.sequences = options.sequences;
      settings.progress = [&](int64_t done, int64_t total) {
        bar.show(concat("receptive field, length ", length), done, total);
      };
      fields.emplace_back(run.name, receptive_field(*trained.model, valid, settings));
    }
    bar.erase();
    std::vector<AttentionMap> maps;
    for (const int64_t length : std::set{lengths.front(), lengths.back()}) {
      AttentionMapOptions settings;
      settings.length = length;
      settings.sequences = options.sequences;
      maps.push_back(attention_map(*trained.model, valid, settings));
    }
    write_file(folder / "attention.csv", [&](auto& csv) { write_attention(csv, maps); });
    write_file(folder / "field_curves.csv", [&](auto& csv) { write_field_curves(csv, fields); });
    write_file(folder / "field.csv", [&](auto& csv) { write_fields(csv, fields); });
  }
}

/// The runs of each group, in order of first appearance.
std::vector<std::vector<const SweepRun*>> groups_of(const std::vector<SweepRun>& runs) {
  std::vector<std::vector<const SweepRun*>> groups;
  for (const SweepRun& run : runs) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return group[0]->group == run.group;
    });
    if (found == groups.end())
      groups.push_back({&run});
    else
      found->push_back(&run);
  }
  return groups;
}

/// A row for each group and length: mean and standard deviation of each measure over the seeds.
void write_sweep(std::ostream& stream, const std::vector<SweepRun>& runs,
                 const std::vector<int64_t>& lengths, bool with_field) {
  std::vector<std::pair<std::string, std::string>> measures{
      {"eval.csv", "token_ppl"}, {"eval.csv", "word_ppl"}, {"eval.csv", "bits_per_byte"}};
  if (with_field) measures.emplace_back("field.csv", "empirical");
  for (const auto& [setting, value] : runs[0].values) stream << setting << ',';
  stream << "seeds,length";
  for (const auto& [file, column] : measures) stream << ',' << column << ',' << column << "_sd";
  stream << '\n' << std::setprecision(9);
  for (const auto& group : groups_of(runs)) {
    for (size_t row = 0; row < lengths.size(); ++row) {
      for (const auto& [setting, value] : group[0]->values) stream << value << ',';
      stream << group.size() << ',' << lengths[row];
      for (const auto& [file, column] : measures) {
        std::vector<double> values;
        for (const SweepRun* run : group)
          values.push_back(
              read_csv(std::filesystem::path(run->config.out) / file).number(row, column));
        const Spread spread = spread_of(values);
        stream << ',' << spread.mean << ',';
        if (values.size() > 1) stream << spread.deviation;
      }
      stream << '\n';
    }
  }
}

}  // namespace

bool sweep(const SweepOptions& options, const TokenSource& train_text, const TokenSource& valid,
           const std::vector<RecallMark>& marks, Backend& backend, std::ostream& say) {
  check(!options.base.out.empty(), "no folder for the sweep; pass --out runs/NAME");
  std::vector<SweepRun> runs = sweep_runs(options);
  std::vector<int64_t> lengths = options.lengths;
  if (lengths.empty())
    for (const int64_t times : {1, 2, 4, 8, 16})
      lengths.push_back(times * options.base.model.length);
  std::sort(lengths.begin(), lengths.end());
  check(std::adjacent_find(lengths.begin(), lengths.end()) == lengths.end(),
        "a length is there twice");
  for (SweepRun& run : runs) {
    run.config.model.vocabulary = train_text.vocabulary;
    try {
      check_run(run, options, lengths, train_text, valid, backend);
    } catch (const Error& error) {
      fail("the run ", run.name, ": ", error.what());
    }
  }

  for (size_t i = 0; i < runs.size(); ++i) {
    say << "\n== " << runs[i].name << " (" << i + 1 << " of " << runs.size() << ") ==\n";
    if (!train_run(runs[i], train_text, valid, backend, say)) return false;
    measure_run(runs[i], options, lengths, valid, marks, backend, say);
  }

  CompareOptions comparison;
  comparison.out = options.base.out;
  comparison.trained = runs[0].config.model.length;
  if (!options.title.empty()) comparison.title = options.title;
  for (const auto& group : groups_of(runs)) {
    RunGroup& added = comparison.groups.emplace_back();
    added.label = group[0]->group.empty() ? group[0]->config.model.position : group[0]->group;
    for (const SweepRun* run : group) added.runs.push_back(run->config.out);
  }
  say << compare(comparison);
  const auto csv = comparison.out / "sweep.csv";
  write_file(csv, [&](auto& s) { write_sweep(s, runs, lengths, options.sequences > 0); });
  say << csv.string() << '\n';
  if (has_gnuplot()) {
    std::vector<std::filesystem::path> folders;
    for (const SweepRun& run : runs) folders.push_back(run.config.out);
    const auto page = comparison.out / "report.html";
    write_report(folders, page, comparison.title);
    say << page.string() << '\n';
  }
  say << std::flush;
  return true;
}

}  // namespace farsight
