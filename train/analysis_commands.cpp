// Commands that look into models, schemes and the program's speed.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>

#include "core/error.h"
#include "train/bench.h"
#include "train/bias_table.h"
#include "train/commands.h"
#include "train/cost.h"
#include "train/extend.h"
#include "train/field_report.h"
#include "train/log.h"
#include "train/sequences.h"
#include "train/table.h"

namespace farsight {
namespace {

/// What field and attention share.
struct AnalysisOptions {
  std::vector<std::string> models;  // one for attention
  std::string data, out;
  std::vector<int64_t> lengths;
  int64_t sequences = 64;
  double share = 0.99;
  ExtendOptions extension;
  DeviceOptions device;
};

void add_analysis_options(CLI::App& command, AnalysisOptions& options) {
  command.add_option("--data", options.data, "token file")->required();
  command.add_option("--lengths", options.lengths, "lengths in tokens; default: as trained")
      ->delimiter(',');
  command.add_option("--sequences", options.sequences, "sequences, evenly spaced in the text")
      ->capture_default_str();
  command.add_option("--out", options.out, "folder of CSV files and a plot");
  add_extend_options(command, options.extension);
}

std::vector<int64_t> lengths_or_trained(const AnalysisOptions& options, const TrainedModel& model) {
  return options.lengths.empty() ? std::vector{model.config.model.length} : options.lengths;
}

void run_field(const AnalysisOptions& options, const OpenTokens& open) {
  Backend& backend = use_device(options.device);
  const TokenSource text = open(options.data);
  require_different(options.lengths);
  check_threshold(options.share);
  std::map<std::string, TrainedModel> models;
  std::vector<std::string> names;  // in the order given
  for (const std::string& path : options.models) {
    names.push_back(label_of(std::filesystem::absolute(path).parent_path()));
    const auto [model, is_new] = models.emplace(names.back(), load_model(path, text, backend));
    check(is_new, "two models are called ", names.back(), ", after their folders; rename one");
    check_extension(*model->second.model, options.extension);
    for (const int64_t length : lengths_or_trained(options, model->second))
      EvenSequences(*model->second.model, text, length, options.sequences);
  }
  prepare_folder(options.out);
  NamedFields fields;
  ProgressBar bar;
  for (const std::string& name : names) {
    const TrainedModel& trained = models.at(name);
    for (const int64_t length : lengths_or_trained(options, trained)) {
      extend_model(*trained.model, options.extension, length, &text);
      FieldOptions settings;
      settings.length = length;
      settings.sequences = options.sequences;
      settings.threshold = options.share;
      settings.progress = [&](int64_t done, int64_t total) {
        bar.show(concat(name, ", length ", length), done, total);
      };
      fields.emplace_back(name, receptive_field(*trained.model, text, settings));
    }
  }
  bar.erase();
  std::cout << field_table(fields);
  if (!options.out.empty())
    std::cout << "\nWritten:\n"
              << write_field_report(options.out, fields, models.at(names[0]).config.model.length);
}

void add_field(CLI::App& program, const OpenTokens& open) {
  auto* command = program.add_subcommand("field", "receptive fields of models, by gradients");
  auto options = std::make_shared<AnalysisOptions>();
  command->add_option("--model", options->models, "checkpoints")->required();
  add_analysis_options(*command, *options);
  command->add_option("--threshold", options->share, "share of the gradient that makes the field")
      ->capture_default_str();
  add_device_options(*command, options->device);
  command->callback([=] { run_field(*options, open); });
}

void run_attention(const AnalysisOptions& options, const OpenTokens& open) {
  check(options.share > 0 && options.share <= 1, "the share must be above 0 and at most 1, not ",
        options.share);
  Backend& backend = use_device(options.device);
  const TokenSource text = open(options.data);
  require_different(options.lengths);
  const TrainedModel trained = load_model(options.models[0], text, backend);
  for (const int64_t length : lengths_or_trained(options, trained))
    EvenSequences(*trained.model, text, length, options.sequences);
  prepare_folder(options.out);
  std::vector<AttentionMap> maps;
  ProgressBar bar;
  for (const int64_t length : lengths_or_trained(options, trained)) {
    extend_model(*trained.model, options.extension, length, &text);
    AttentionMapOptions settings;
    settings.length = length;
    settings.sequences = options.sequences;
    settings.progress = [&](int64_t done, int64_t total) {
      bar.show(concat("length ", length), done, total);
    };
    maps.push_back(attention_map(*trained.model, text, settings));
  }
  bar.erase();
  std::cout << window_table(maps, options.share);
  if (!options.out.empty())
    std::cout << "\nWritten:\n" << write_attention_report(options.out, maps, options.share);
}

void add_attention(CLI::App& program, const OpenTokens& open) {
  auto* command = program.add_subcommand("attention", "where the heads of a model look");
  auto options = std::make_shared<AnalysisOptions>();
  options->models.resize(1);
  command->add_option("--model", options->models[0], "checkpoint")->required();
  add_analysis_options(*command, *options);
  command->add_option("--share", options->share, "share of the attention that a window holds")
      ->capture_default_str();
  add_device_options(*command, options->device);
  command->callback([=] { run_attention(*options, open); });
}

void add_cost(CLI::App& program, const OpenTokens& open) {
  auto* command = program.add_subcommand(
      "cost", "time, memory and perplexity by length of the context, under attention windows");
  auto options = std::make_shared<CostOptions>();
  auto cases = std::make_shared<std::vector<std::string>>();
  auto data = std::make_shared<std::string>(), out = std::make_shared<std::string>();
  auto epsilon = std::make_shared<double>(1e-4);
  command
      ->add_option("cases", *cases,
                   "CHECKPOINT=WINDOW, WINDOW being full (none, not even those of the training), "
                   "auto, measured or numbers of tokens")
      ->required();
  command->add_option("--data", *data, "token file")->required();
  command->add_option("--lengths", options->lengths, "lengths of the context")
      ->required()
      ->delimiter(',');
  command->add_option("--epsilon", *epsilon, "share of the attention that windows may cut off")
      ->capture_default_str();
  command
      ->add_option("--targets", options->targets,
                   "targets scored at each length, at least one window of it")
      ->capture_default_str();
  command->add_option("--generated", options->generated, "tokens generated at each length")
      ->capture_default_str();
  command->add_option("--out", *out, "folder of a CSV and plots");
  add_device_options(*command, options->device);
  command->callback([=] {
    const TokenSource text = open(*data);
    require_different(options->lengths);
    prepare_folder(*out);
    std::vector<CostCase> all;
    for (const std::string& one : *cases) all.push_back(cost_case(one, *epsilon));
    const auto costs = measure_costs(all, *options, text, std::cout);
    if (!out->empty()) std::cout << "\nWritten:\n" << write_cost_report(*out, costs);
  });
}

void add_schemes(CLI::App& program) {
  program.add_subcommand("schemes", "list the positional schemes and the extensions")->callback([] {
    for (const PositionEntry* entry : PositionEntry::all()) {
      std::cout << std::left << std::setw(18) << entry->name << entry->description << '\n';
      for (const PositionOption& option : entry->options)
        std::cout << "                    --" << option.name << " (" << option.value << ")  "
                  << option.description << '\n';
    }
    std::cout << "\nExtensions to longer texts, with --extend:\n";
    for (const ExtensionEntry* entry : ExtensionEntry::all())
      std::cout << std::left << std::setw(18) << entry->name << entry->description << '\n';
  });
}

void add_bias(CLI::App& program) {
  auto* command = program.add_subcommand("bias", "a scheme's bias by head and distance");
  auto options = std::make_shared<BiasOptions>();
  auto csv = std::make_shared<std::string>("-");
  add_bias_options(*command, *options);
  command->add_option("--csv", *csv, "file for the CSV; - for standard output")
      ->capture_default_str();
  command->callback([options, csv] {
    const auto rows = bias_table(*options, cpu_backend());
    write_result(*csv, [&](std::ostream& stream) { write_bias_table(stream, rows); });
  });
}

/// Rows of figures by name, as text; "-" for a figure of the first row that a later one lacks.
std::string table_of(const nlohmann::ordered_json& rows) {
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows) {
    std::vector<std::string> names, fields;
    for (const auto& [name, first] : rows.front().items()) {
      names.push_back(name);
      const nlohmann::ordered_json value = row.value(name, nlohmann::ordered_json("-"));
      fields.push_back(value.is_string()         ? value.get<std::string>()
                       : value.is_number_float() ? fixed(value.get<double>(), 1)
                                                 : value.dump());
    }
    if (table.empty()) table.push_back(names);
    table.push_back(fields);
  }
  return aligned(table);
}

void add_bench(CLI::App& program) {
  auto* command = program.add_subcommand(
      "bench", "time whole steps, their matrix products, or attention, on random numbers");
  auto options = std::make_shared<BenchOptions>();
  auto json = std::make_shared<bool>(false);
  command->add_option("--mode", options->mode, "train, eval, gemm or attention")
      ->capture_default_str();
  command->add_option("--shape", options->shape, "S, M or L")->capture_default_str();
  command->add_option("--numbers", options->numbers,
                      "blocks,width,heads,vocabulary,T,B instead of a named shape");
  command->add_option("--position", options->position, "positional scheme")->capture_default_str();
  command->add_option("--steps", options->steps, "timed steps, or times of each kernel")
      ->capture_default_str();
  command->add_option("--lengths", options->lengths, "of attention")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--backward-to", options->backward_to,
                   "longest attention whose backward pass is timed too")
      ->capture_default_str();
  command->add_option("--window", options->window, "of attention, in tokens; 0 = unlimited")
      ->capture_default_str();
  command
      ->add_option("--recompute", options->recompute,
                   "train with less memory, computing activations again")
      ->capture_default_str();
  add_device_options(*command, options->device);
  command->add_flag("--json", *json, "one line of JSON");
  command->callback([options, json] {
    const bool kernels = options->mode == "gemm" || options->mode == "attention";
    if (kernels) {
      const nlohmann::ordered_json rows =
          options->mode == "gemm" ? bench_gemm(*options) : bench_attention(*options);
      std::cout << (*json ? rows.dump() + "\n" : table_of(rows));
    } else {
      const StepBench steps = bench_steps(*options);
      std::cout << (*json ? to_json(steps, *options).dump() + "\n" : text_of(steps, *options));
    }
  });
}

}  // namespace

void add_analysis_commands(CLI::App& program, const OpenTokens& open) {
  add_field(program, open);
  add_attention(program, open);
  add_cost(program, open);
  add_schemes(program);
  add_bias(program);
  add_bench(program);
}

}  // namespace farsight
