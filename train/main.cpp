// The program: one subcommand per job, each a thin layer over the library that does it.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>

#include "core/cpu/threads.h"
#include "core/error.h"
#include "core/file.h"
#include "data/prepare.h"
#include "data/token_file.h"
#include "data/tokenizer.h"
#include "train/bench.h"
#include "train/bias_table.h"
#include "train/compare.h"
#include "train/evaluate.h"
#include "train/log.h"
#include "train/trainer.h"

namespace farsight {
namespace {

/// A token file as the training code sees it.
TokenSource source_of(const std::filesystem::path& path) {
  const auto file = std::make_shared<TokenFile>(path);
  const TokenHeader& header = file->header();
  return {path.string(),
          header.tokens,
          header.vocabulary,
          header.words,
          header.bytes,
          header.fingerprint,
          [file](int64_t begin, std::span<int32_t> out) { file->read(begin, out); }};
}

/// Writes to a file, or to standard output where `path` is "-".
void write_result(const std::string& path, const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(std::cout);
  } else {
    write_file(path, write);
  }
}

std::string read_standard_input() {
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  struct stat status {};
  check(!std::cin.bad() && !(fstat(STDIN_FILENO, &status) == 0 && S_ISDIR(status.st_mode)),
        "standard input cannot be read; pass text, for example with < FILE");
  return text;
}

void add_prepare(CLI::App& program) {
  auto* command = program.add_subcommand("prepare", "turn text into token files");
  auto options = std::make_shared<PrepareOptions>();
  command->add_option("--text", options->text, "folder with wiki.{train,valid,test}.{tokens,raw}");
  command->add_option("--train", options->train, "or: training text");
  command->add_option("--valid", options->valid, "or: validation text");
  command->add_option("--test", options->test, "or: test text");
  command->add_flag("--embedded", options->embedded, "or: the built-in generated encyclopaedia");
  command->add_option("--tokenizer", options->tokenizer, "word (default), bpe, gpt2 or byte");
  command->add_option("--tokenizer-from", options->tokenizer_from,
                      "instead: the tokenizer of a folder prepared before");
  command->add_option("--vocab", options->vocabulary_list,
                      "word: list of words, one per line, a count after each allowed");
  command->add_option("--min-count", options->min_count, "word: rarer words become <unk>")
      ->capture_default_str();
  command->add_option("--vocab-size", options->vocabulary_size, "at most this many; word: 0 = all")
      ->capture_default_str();
  command->add_option("--encoder", options->encoder, "gpt2: encoder.json");
  command->add_option("--merges", options->merges, "gpt2: vocab.bpe");
  command->add_option("--out", options->out, "folder of the token files")->required();
  command->callback([options] {
    ProgressBar bar;
    const Prepared prepared = prepare(*options, write_file, [&](auto what, auto done, auto total) {
      bar.show(what, done, total);
    });
    bar.erase();
    std::cout << prepared.tokenizer << " tokenizer, vocabulary " << prepared.vocabulary << '\n';
    for (const PreparedSplit& split : prepared.splits)
      std::cout << (options->out / (split.name + ".bin")).string() << ": " << split.tokens
                << " tokens, " << split.words << " words, " << split.bytes << " bytes, "
                << split.unknown << " unknown tokens\n";
  });
}

void add_encode_and_decode(CLI::App& program) {
  auto folder = std::make_shared<std::string>();
  auto* encode = program.add_subcommand("encode", "text from standard input to token ids");
  auto* decode = program.add_subcommand("decode", "token ids from standard input to text");
  for (CLI::App* command : {encode, decode})
    command->add_option("--tokenizer", *folder, "folder with a tokenizer.json")->required();
  encode->callback([folder] {
    const auto tokenizer = load_tokenizer(*folder);
    std::vector<int32_t> ids;
    try {
      tokenizer->encode(read_standard_input(), ids);
    } catch (const InvalidText& error) {
      fail("standard input: byte ", error.offset, ": ", error.what());
    }
    for (size_t i = 0; i < ids.size(); ++i) std::cout << (i ? " " : "") << ids[i];
    std::cout << '\n';
  });
  decode->callback([folder] {
    const auto tokenizer = load_tokenizer(*folder);
    std::vector<int32_t> ids;
    for (std::string word; std::cin >> word;) {
      size_t used = 0;
      try {
        ids.push_back(std::stoi(word, &used));
      } catch (const std::logic_error&) {
      }
      check(used == word.size(), "standard input: '", word, "' is no token id");
    }
    std::cout << tokenizer->decode(ids);
  });
}

void add_train(CLI::App& program, int& status) {
  auto* command = program.add_subcommand("train", "train a model");
  auto config = std::make_shared<Config>();
  auto resume = std::make_shared<bool>(false);
  add_settings(*command, *config);
  command->add_flag("--resume", *resume, "go on from the checkpoint in --out, if there is one");
  command->callback([command, config, resume, &status] {
    read_config_file(*command);
    check(!config->data.empty(), "no data; pass --data FOLDER, made by `farsight prepare`");
    use_threads(config->threads);
    const std::filesystem::path data = config->data;
    const TokenSource text = source_of(data / "train.bin");
    TokenSource valid;
    const bool has_valid = std::filesystem::exists(data / "valid.bin");
    if (has_valid) valid = source_of(data / "valid.bin");
    if (!train(*config, text, has_valid ? &valid : nullptr, *resume, cpu_backend(), std::cout))
      status = 130;  // what shells report of a program ended by Ctrl-C
  });
}

struct EvalOptions {
  std::string model, data, csv, recall_csv;
  std::vector<int64_t> lengths;
  int64_t stride = 0, max_targets = 0, threads = 0;
};

void run_eval(const EvalOptions& options) {
  use_threads(options.threads);
  const TrainedModel trained = load_checkpoint(options.model, cpu_backend());
  const TokenSource text = source_of(options.data);
  check(text.tokenizer == trained.tokenizer, options.data,
        ": was made with another tokenizer than ",
        "the model's training data; prepare it with --tokenizer-from that folder");
  std::vector<RecallMark> marks;
  const auto marks_path = std::filesystem::path(options.data).replace_extension(".marks.csv");
  if (std::filesystem::exists(marks_path)) marks = read_marks(marks_path);
  std::vector<int64_t> lengths = options.lengths;
  if (lengths.empty()) lengths = {trained.config.model.length};

  check(options.recall_csv.empty() || !marks.empty(), options.data, ": has no marks beside it (",
        marks_path.filename().string(), ") to measure recall by; leave out --recall-csv");

  EvaluationOptions settings;
  settings.stride = options.stride;
  settings.max_targets = options.max_targets;
  if (!marks.empty()) settings.marks = &marks;
  const auto evaluations = evaluate_lengths(*trained.model, text, lengths, settings,
                                            options.csv == "-" ? std::cerr : std::cout);
  if (!options.csv.empty())
    write_result(options.csv, [&](auto& stream) { write_evaluations(stream, evaluations); });
  if (!options.recall_csv.empty())
    write_result(options.recall_csv, [&](auto& stream) { write_recall(stream, evaluations); });
}

void add_eval(CLI::App& program) {
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
  command->add_option("--threads", options->threads, "threads; 0 = one per processor")
      ->capture_default_str();
  command->callback([options] { run_eval(*options); });
}

void add_compare(CLI::App& program) {
  auto* command =
      program.add_subcommand("compare", "tables and a plot of several runs' evaluations");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("runs", options->runs, "folders with an eval.csv")->required();
  command->add_option("--out", options->out, "folder of the tables and the plot")->required();
  command->add_option("--title", options->title, "title of the plot")->capture_default_str();
  command->callback([options] { std::cout << compare(*options); });
}

void add_schemes(CLI::App& program) {
  program.add_subcommand("schemes", "list the positional schemes")->callback([] {
    for (const PositionEntry* entry : PositionEntry::all()) {
      std::cout << std::left << std::setw(14) << entry->name << entry->description << '\n';
      for (const PositionOption& option : entry->options)
        std::cout << "                --" << option.name << " (" << option.value << ")  "
                  << option.description << '\n';
    }
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

void add_bench(CLI::App& program) {
  auto* command = program.add_subcommand("bench", "time whole steps on random tokens");
  auto options = std::make_shared<BenchOptions>();
  auto threads = std::make_shared<int64_t>(0);
  auto json = std::make_shared<bool>(false);
  command->add_option("--mode", options->mode, "train or eval")->capture_default_str();
  command->add_option("--shape", options->shape, "S, M or L")->capture_default_str();
  command->add_option("--numbers", options->numbers,
                      "blocks,width,heads,vocabulary,T,B instead of a named shape");
  command->add_option("--precision", options->precision, "fp32")->capture_default_str();
  command->add_option("--position", options->position, "positional scheme")->capture_default_str();
  command->add_option("--steps", options->steps, "timed steps")->capture_default_str();
  command->add_option("--threads", *threads, "threads; 0 = one per processor")
      ->capture_default_str();
  command->add_flag("--json", *json, "one line of JSON");
  command->callback([options, threads, json] {
    use_threads(*threads);
    const nlohmann::json result = bench(*options, cpu_backend());
    if (*json) {
      std::cout << result.dump() << '\n';
      return;
    }
    for (const auto& [name, value] : result.items())
      std::cout << std::left << std::setw(20) << name << value.dump() << '\n';
  });
}

int run(int argc, char** argv) {
  CLI::App program("farsight: transformers that see past their training length");
  program.require_subcommand(1);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  int status = 0;
  add_prepare(program);
  add_encode_and_decode(program);
  add_train(program, status);
  add_eval(program);
  add_compare(program);
  add_schemes(program);
  add_bias(program);
  add_bench(program);
  check_numbers(program);
  try {
    program.parse(argc, argv);
    check(std::cout.flush().good(), "standard output cannot be written");
  } catch (const CLI::CallForHelp& help) {
    return program.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << "farsight: " << describe(error, program) << '\n';
    return 1;
  }
  return status;
}

}  // namespace
}  // namespace farsight

int main(int argc, char** argv) {
  try {
    return farsight::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::cerr << "farsight: out of memory; use a smaller model, batch or length\n";
  } catch (const std::exception& error) {
    std::cerr << "farsight: " << error.what() << '\n';
  }
  return 1;
}
