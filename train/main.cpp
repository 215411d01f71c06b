// The program. Its commands that read text are here, since data/ stands alone; the others are in
// training_commands.cpp and analysis_commands.cpp.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <iterator>

#include "core/error.h"
#include "core/file.h"
#include "data/prepare.h"
#include "data/token_file.h"
#include "data/tokenizer.h"
#include "train/commands.h"
#include "train/extend.h"
#include "train/generate.h"
#include "train/log.h"
#include "train/windows.h"

namespace farsight {
namespace {

/// A token file as the training code sees it.
TokenSource open_tokens(const std::filesystem::path& path) {
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

std::string read_standard_input() {
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  struct stat status {};
  check(!std::cin.bad() && !(fstat(STDIN_FILENO, &status) == 0 && S_ISDIR(status.st_mode)),
        "standard input cannot be read; pass text, for example with < FILE");
  return text;
}

/// How many bytes of a text are whole UTF-8 characters: all but the beginning of one at the end.
size_t whole_characters(const std::string& text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) break;
    if (byte < 0xC0) continue;  // the middle of a character
    const size_t bytes = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    return bytes > back ? text.size() - back : text.size();
  }
  return text.size();
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

struct GenerateCommand {
  std::string model, tokenizer, prompt = "-", data;
  GenerateOptions options;
  WindowOptions windows;
  ExtendOptions extension;
  DeviceOptions device;
};

void run_generate(const GenerateCommand& command) {
  const TrainedModel trained = load_checkpoint(command.model, use_device(command.device));
  const std::string folder = command.tokenizer.empty() ? trained.config.data : command.tokenizer;
  const auto tokenizer = load_tokenizer(folder);
  check(tokenizer->fingerprint() == trained.tokenizer, folder,
        ": holds another tokenizer than the model was trained with; pass --tokenizer FOLDER");
  std::vector<int32_t> prompt;
  try {
    tokenizer->encode(command.prompt == "-" ? read_standard_input() : command.prompt, prompt);
  } catch (const InvalidText& error) {
    fail("the prompt: byte ", error.offset, ": ", error.what());
  }
  check_options(command.options);
  TokenSource text;
  if (!command.data.empty()) {
    text = open_tokens(command.data);
    require_tokenizer(trained, text);
  }
  const int64_t length = static_cast<int64_t>(prompt.size()) + command.options.tokens;
  const TokenSource* const measured_on = command.data.empty() ? nullptr : &text;
  extend_model(*trained.model, command.extension, length, measured_on);
  choose_windows(*trained.model, command.windows, length, measured_on);

  check_generation(*trained.model, prompt, command.options);
  std::string said = tokenizer->decode(prompt);
  size_t shown = whole_characters(said);
  std::cout << std::string_view(said).substr(0, shown) << std::flush;
  const Generated generated = generate(*trained.model, prompt, command.options, [&](int32_t token) {
    tokenizer->append_text(token, said);
    const size_t whole = whole_characters(said);
    std::cout << std::string_view(said).substr(shown, whole - shown) << std::flush;
    shown = std::max(shown, whole);
    return std::cout.good();
  });
  std::cout << std::string_view(said).substr(shown) << std::endl;
  std::cerr << generated.prompt_tokens << " tokens of prompt in " << std::setprecision(3)
            << generated.prompt_seconds << " s; " << generated.tokens << " more at "
            << generated.tokens_per_second()
            << " tokens/s; windows by head: " << describe_windows(*trained.model) << "; cache "
            << generated.cache_bytes / (1 << 20) << " MiB\n";
}

void add_generate(CLI::App& program) {
  auto* subcommand = program.add_subcommand("generate", "let a model write on");
  auto command = std::make_shared<GenerateCommand>();
  subcommand->add_option("--model", command->model, "checkpoint")->required();
  subcommand->add_option("--prompt", command->prompt, "text to go on from; - for standard input")
      ->capture_default_str();
  subcommand->add_option("--tokenizer", command->tokenizer,
                         "folder with a tokenizer.json; default: the training data's");
  add_generate_options(*subcommand, command->options);
  add_window_options(*subcommand, command->windows);
  add_extend_options(*subcommand, command->extension);
  subcommand->add_option("--data", command->data,
                         "token file for --window measured and --extend align");
  add_device_options(*subcommand, command->device);
  subcommand->callback([=] { run_generate(*command); });
}

int run(int argc, char** argv) {
  CLI::App program("farsight: transformers that see past their training length");
  program.require_subcommand(1);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  int status = 0;
  add_prepare(program);
  add_encode_and_decode(program);
  add_generate(program);
  add_training_commands(program, open_tokens, status);
  add_analysis_commands(program, open_tokens);
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
