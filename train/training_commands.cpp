// Commands that train and evaluate.
#include <algorithm>
#include <iostream>

#include "core/error.h"
#include "core/file.h"
#include "train/commands.h"
#include "train/compare.h"
#include "train/evaluate.h"
#include "train/extend.h"
#include "train/position_report.h"
#include "train/profile_table.h"
#include "train/report.h"
#include "train/sweep.h"
#include "train/trainer.h"
#include "train/windows.h"

namespace farsight {

void require_different(std::vector<int64_t> lengths) {
  std::sort(lengths.begin(), lengths.end());
  const auto twice = std::adjacent_find(lengths.begin(), lengths.end());
  if (twice != lengths.end()) fail("the length ", *twice, " is there twice");
}

void prepare_folder(const std::string& folder) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error && std::filesystem::is_directory(folder), folder, ": cannot create this folder; ",
        "choose another --out");
}

void write_result(const std::string& path, const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(std::cout);
  } else {
    write_file(path, write);
  }
}

namespace {

void add_train(CLI::App& program, const OpenTokens& open, int& status) {
  auto* command = program.add_subcommand("train", "train a model");
  auto config = std::make_shared<Config>();
  auto resume = std::make_shared<bool>(false);
  add_settings(*command, *config);
  command->add_flag("--resume", *resume, "go on from the checkpoint in --out, if there is one")
      ->configurable(false);
  auto profiled = std::make_shared<bool>(false);
  command->add_flag("--profile", *profiled, "at the end, say where the steps' time went, op by op")
      ->configurable(false);
  command->callback([command, config, resume, profiled, open, &status] {
    read_config_file(*command);
    check(!config->data.empty(), "no data; pass --data FOLDER, made by `farsight prepare`");
    Backend& backend = use_device(config->device);
    const std::filesystem::path data = config->data;
    const TokenSource text = open(data / "train.bin");
    TokenSource valid;
    const bool has_valid = std::filesystem::exists(data / "valid.bin");
    if (has_valid) valid = open(data / "valid.bin");
    Profile profile;
    if (!train(*config, text, has_valid ? &valid : nullptr, *resume, backend, std::cout,
               *profiled ? &profile : nullptr))
      status = 130;  // what shells report of a program ended by Ctrl-C
    if (*profiled && !profile.ops().empty())
      std::cout << '\n' << profile_table(profile, measure_peaks(backend));
  });
}

void add_sweep(CLI::App& program, const OpenTokens& open, int& status) {
  auto* command = program.add_subcommand(
      "sweep", "train, evaluate and compare every combination of some settings' values");
  auto options = std::make_shared<SweepOptions>();
  add_settings(*command, options->base);
  const char* const group = "Sweep";
  command
      ->add_option("--vary", options->vary, "SETTING=VALUE,VALUE,… ; over seeds, means are shown")
      ->group(group)
      ->take_all();
  command
      ->add_option("--lengths", options->lengths,
                   "evaluation lengths; default: 1, 2, 4, 8 and 16 times the training length")
      ->group(group)
      ->delimiter(',');
  command
      ->add_option("--sequences", options->sequences,
                   "sequences of each receptive field; 0 = measure none")
      ->group(group)
      ->capture_default_str();
  command->add_option("--title", options->title, "title of the plot")->group(group);
  command->callback([=, &status] {
    read_config_file(*command);
    check(!options->base.data.empty(), "no data; pass --data FOLDER, made by `farsight prepare`");
    check(options->sequences >= 0, "sequences must be 0 or more, not ", options->sequences);
    Backend& backend = use_device(options->base.device);
    const std::filesystem::path data = options->base.data;
    const TokenSource text = open(data / "train.bin"), valid = open(data / "valid.bin");
    if (!sweep(*options, text, valid, marks_beside(data / "valid.bin"), backend, std::cout))
      status = 130;
  });
}

struct EvalOptions {
  std::string model, data, csv, recall_csv, by_position;
  std::vector<int64_t> lengths;
  int64_t stride = 0, max_targets = 0;
  WindowOptions windows;
  ExtendOptions extension;
  DeviceOptions device;
};

void run_eval(const EvalOptions& options, const OpenTokens& open) {
  Backend& backend = use_device(options.device);
  const TokenSource text = open(options.data);
  const TrainedModel trained = load_model(options.model, text, backend);
  const std::vector<RecallMark> marks = marks_beside(options.data);
  std::vector<int64_t> lengths = options.lengths;
  if (lengths.empty()) lengths = {trained.config.model.length};

  check(options.recall_csv.empty() || !marks.empty(), options.data,
        ": has no marks beside it to measure recall by; leave out --recall-csv");

  require_different(lengths);
  EvaluationOptions settings;
  settings.stride = options.stride;
  settings.max_targets = options.max_targets;
  if (!marks.empty()) settings.marks = &marks;
  for (const int64_t length : lengths) {
    settings.length = length;
    check_evaluation(*trained.model, text, settings);
  }
  std::ostream& say = options.csv == "-" ? std::cerr : std::cout;
  const auto before = [&](int64_t length) {
    const std::string note = extend_model(*trained.model, options.extension, length, &text);
    if (!note.empty()) say << note << '\n';
    choose_windows(*trained.model, options.windows, length, &text);
    if (!options.windows.window.empty())
      say << "windows by head: " << describe_windows(*trained.model) << '\n';
  };
  check_extension(*trained.model, options.extension);
  prepare_folder(options.by_position);
  const auto evaluations = evaluate_lengths(*trained.model, text, lengths, settings, say, before);
  say << recall_table(evaluations.front());
  if (evaluations.size() > 1) say << recall_table(evaluations.back());
  if (!options.csv.empty())
    write_result(options.csv, [&](auto& stream) { write_evaluations(stream, evaluations); });
  if (!options.recall_csv.empty())
    write_result(options.recall_csv, [&](auto& stream) { write_recall(stream, evaluations); });
  if (!options.by_position.empty())
    say << "\nWritten:\n"
        << write_position_report(options.by_position, evaluations, trained.config.model.length);
}

void add_eval(CLI::App& program, const OpenTokens& open) {
  auto* command = program.add_subcommand("eval", "perplexity (and recall) at a list of lengths");
  auto options = std::make_shared<EvalOptions>();
  command->add_option("--model", options->model, "checkpoint")->required();
  command->add_option("--data", options->data, "token file")->required();
  command->add_option("--lengths", options->lengths, "evaluation lengths; default: as trained")
      ->delimiter(',');
  command->add_option("--stride", options->stride, "tokens between windows; 0 = no overlap")
      ->capture_default_str();
  command->add_option("--max-targets", options->max_targets, "score only the first ones; 0 = all")
      ->capture_default_str();
  command->add_option("--csv", options->csv, "results as CSV; - for standard output");
  command->add_option("--recall-csv", options->recall_csv,
                      "recall by distance at each length as CSV; the data needs marks");
  command->add_option("--by-position", options->by_position,
                      "loss by position in the window: FOLDER of a CSV and a plot");
  add_window_options(*command, options->windows);
  add_extend_options(*command, options->extension);
  add_device_options(*command, options->device);
  command->callback([=] { run_eval(*options, open); });
}

void add_compare(CLI::App& program) {
  auto* command =
      program.add_subcommand("compare", "tables and a plot of several runs' evaluations");
  auto options = std::make_shared<CompareOptions>();
  auto runs = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("runs", *runs, "folders with an eval.csv")->required();
  command->add_option("--out", options->out, "folder of the tables and the plot")->required();
  command->add_option("--title", options->title, "title of the plot")->capture_default_str();
  command->callback([options, runs] {
    options->groups = single_runs(*runs);
    std::cout << compare(*options);
  });
}

void add_report(CLI::App& program) {
  auto* command = program.add_subcommand("report", "one page that shows what runs came to");
  auto runs = std::make_shared<std::vector<std::filesystem::path>>();
  auto page = std::make_shared<std::string>("report.html");
  auto title = std::make_shared<std::string>("Beyond the training length");
  command->add_option("runs", *runs, "folders of runs, as `farsight sweep` leaves them")
      ->required();
  command->add_option("--out", *page, "the page")->capture_default_str();
  command->add_option("--title", *title, "its title")->capture_default_str();
  command->callback([=] {
    write_report(*runs, *page, *title);
    std::cout << *page << '\n';
  });
}

}  // namespace

void add_training_commands(CLI::App& program, const OpenTokens& open, int& status) {
  add_train(program, open, status);
  add_sweep(program, open, status);
  add_eval(program, open);
  add_compare(program);
  add_report(program);
}

}  // namespace farsight
