// Sweeps: see sweep.h.
#include "train/sweep.h"

#include <algorithm>
#include <iomanip>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/compare.h"
#include "train/csv.h"
#include "train/log.h"
#include "train/receptive_field.h"
#include "train/table.h"

namespace farsight {
namespace {

struct Axis {
  std::string setting;
  std::vector<std::string> values;
};

Axis axis_of(const std::string& text, const nlohmann::json& settings) {
  const size_t equals = text.find('=');
  check(equals != std::string::npos && equals > 0, "cannot vary '", text,
        "'; write SETTING=VALUE,VALUE, for example position=alibi,sandwich");
  Axis axis{text.substr(0, equals), {}};
  std::vector<std::string> known;
  for (const auto& [name, value] : settings.items()) known.push_back(name);
  check(settings.contains(axis.setting), "cannot vary the unknown setting '", axis.setting,
        "'; the nearest known one is '", nearest(axis.setting, known), "'");
  std::istringstream values(text.substr(equals + 1));
  for (std::string value; std::getline(values, value, ',');) {
    check(!value.empty(), "cannot vary '", text, "': a value is empty");
    check(!std::count(axis.values.begin(), axis.values.end(), value), "'", text, "' has ", value,
          " twice");
    axis.values.push_back(value);
  }
  check(!axis.values.empty(), "'", text, "' has no values");
  return axis;
}

/// A value as the setting's type has it; what does not parse stays text, for from_json to refuse.
nlohmann::json value_of(const std::string& text, const nlohmann::json& present) {
  if (present.is_string()) return text;
  const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return text;
  return present.is_array() ? nlohmann::json::array({value}) : value;
}

std::filesystem::path checkpoint_of(const SweepRun& run) {
  return std::filesystem::path(run.config.out) / "checkpoint.safetensors";
}

/// Whether a CSV that the checkpoint's run has left has a row for each length, and no others.
bool is_done(const std::filesystem::path& csv, const std::filesystem::path& checkpoint,
             const std::vector<int64_t>& lengths, const std::string& column = "",
             int64_t value = 0) {
  if (!std::filesystem::exists(csv) ||
      std::filesystem::last_write_time(csv) < std::filesystem::last_write_time(checkpoint))
    return false;
  const Csv table = read_csv(csv);
  std::vector<int64_t> found;
  for (size_t row = 0; row < table.rows(); ++row) {
    found.push_back(table.integer(row, "length"));
    if (!column.empty() && table.integer(row, column) != value) return false;
  }
  return found == lengths;
}

/// Trains a run to its end unless that has been done. Returns false if interrupted.
bool train_run(const SweepRun& run, const TokenSource& train_text, const TokenSource& valid,
               Backend& backend, std::ostream& say) {
  const auto checkpoint = checkpoint_of(run);
  if (std::filesystem::exists(checkpoint)) {
    const RunState state = checkpoint_state(checkpoint);
    const std::vector<std::string> changes =
        changed_settings(run.config, state.config, {"Model", "Positional schemes", "Training"});
    check(changes.empty(), checkpoint.string(),
          ": was trained with other settings: ", changes.empty() ? "" : changes[0],
          "; use another --out");
    check(state.tokenizer == train_text.tokenizer, checkpoint.string(),
          ": was trained on tokens of another tokenizer; use the same --data, or another --out");
    if (state.step >= run.config.steps) {
      say << "trained already: " << checkpoint.string() << '\n';
      return true;
    }
  }
  return train(run.config, train_text, &valid, true, backend, say);
}

void measure_run(const SweepRun& run, const SweepOptions& options,
                 const std::vector<int64_t>& lengths, const TokenSource& valid,
                 const std::vector<RecallMark>& marks, Backend& backend, std::ostream& say) {
  const std::filesystem::path folder = run.config.out, checkpoint = checkpoint_of(run);
  const bool evaluated =
      is_done(folder / "eval.csv", checkpoint, lengths, "targets", valid.size - 1) &&
      (marks.empty() || std::filesystem::exists(folder / "recall.csv"));
  const bool with_field = options.sequences > 0;
  const bool has_field =
      is_done(folder / "field.csv", checkpoint, lengths, "sequences", options.sequences);
  if (evaluated && (has_field || !with_field)) return;

  const TrainedModel trained = load_checkpoint(checkpoint, backend);
  if (!evaluated) {
    EvaluationOptions settings;
    if (!marks.empty()) settings.marks = &marks;
    const auto evaluations = evaluate_lengths(*trained.model, valid, lengths, settings, say);
    if (!marks.empty())
      write_file(folder / "recall.csv", [&](auto& csv) { write_recall(csv, evaluations); });
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
        stream << ',' << spread.mean << ',' << spread.deviation;
      }
      stream << '\n';
    }
  }
}

}  // namespace

std::vector<SweepRun> sweep_runs(const SweepOptions& options) {
  const nlohmann::json settings = to_json(options.base);
  std::vector<Axis> axes;
  std::set<std::string> seen{"out", "data", "threads", "vocabulary"};
  for (const std::string& text : options.vary) {
    axes.push_back(axis_of(text, settings));
    check(seen.insert(axes.back().setting).second, "'", text, "': ", axes.back().setting,
          " cannot be varied, or is varied twice");
  }
  check(!axes.empty(), "nothing to vary; pass for example --vary position=alibi,sandwich");

  std::vector<SweepRun> runs;
  size_t count = 1;
  for (const Axis& axis : axes) count *= axis.values.size();
  check(count <= 10000, "these values make ", count, " runs; 10000 are the most");
  for (size_t index = 0; index < count; ++index) {
    SweepRun run;
    nlohmann::json changed = settings;
    size_t below = count, rest = index;
    for (const auto& [setting, values] : axes) {
      below /= values.size();
      const std::string& value = values[rest / below];
      rest %= below;
      changed[setting] = value_of(value, settings[setting]);
      const std::string part = setting == "position" ? value : setting + "=" + value;
      run.name += (run.name.empty() ? "" : "_") + part;
      if (setting == "seed") continue;
      run.group += (run.group.empty() ? "" : "_") + part;
      run.values.emplace_back(setting, value);
    }
    try {
      run.config = from_json(changed);
    } catch (const Error& error) {
      fail("the run ", run.name, ": ", error.what());
    }
    run.config.out = std::filesystem::path(options.base.out) / run.name;
    label_of(run.config.out);  // which has to be fit for a CSV
    runs.push_back(run);
  }
  return runs;
}

bool sweep(const SweepOptions& options, const TokenSource& train_text, const TokenSource& valid,
           const std::vector<RecallMark>& marks, Backend& backend, std::ostream& say) {
  check(!options.base.out.empty(), "no folder for the sweep; pass --out runs/NAME");
  std::vector<SweepRun> runs = sweep_runs(options);
  for (SweepRun& run : runs) {
    run.config.model.vocabulary = train_text.vocabulary;
    try {
      check_training(run.config, train_text);
      check_model(run.config.model, backend);
    } catch (const Error& error) {
      fail("the run ", run.name, ": ", error.what());
    }
  }
  std::vector<int64_t> lengths = options.lengths;
  if (lengths.empty())
    for (const int64_t times : {1, 2, 4, 8, 16})
      lengths.push_back(times * options.base.model.length);
  std::sort(lengths.begin(), lengths.end());
  check(lengths[0] > 0, "a length must be positive, not ", lengths[0]);
  check(std::adjacent_find(lengths.begin(), lengths.end()) == lengths.end(),
        "a length is there twice");
  check(valid.size > lengths.back(), valid.name, ": has ", valid.size,
        " tokens, too few for one window of ", lengths.back(), " and the token after it");

  for (size_t i = 0; i < runs.size(); ++i) {
    say << "\n== " << runs[i].name << " (" << i + 1 << " of " << runs.size() << ") ==\n";
    if (!train_run(runs[i], train_text, valid, backend, say)) return false;
    measure_run(runs[i], options, lengths, valid, marks, backend, say);
  }

  CompareOptions comparison;
  comparison.out = options.base.out;
  if (!options.title.empty()) comparison.title = options.title;
  for (const auto& group : groups_of(runs)) {
    RunGroup& added = comparison.groups.emplace_back();
    added.label = group[0]->group.empty() ? group[0]->config.model.position : group[0]->group;
    for (const SweepRun* run : group) added.runs.push_back(run->config.out);
  }
  say << compare(comparison);
  const auto csv = comparison.out / "sweep.csv";
  write_file(csv, [&](auto& s) { write_sweep(s, runs, lengths, options.sequences > 0); });
  say << csv.string() << std::endl;
  return true;
}

}  // namespace farsight
