// Preparing token files: see prepare.h.
#include "data/prepare.h"

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>

#include "data/bpe_tokenizer.h"
#include "data/encyclopaedia.h"
#include "data/mapped_file.h"
#include "data/token_file.h"
#include "data/word_tokenizer.h"

namespace farsight {
namespace {

/// One part of the text, from a file or generated.
struct Split {
  std::string name, source;
  std::unique_ptr<MappedFile> file;
  GeneratedText generated;

  std::string_view text() const { return file ? file->bytes() : generated.text; }
};

using Paths = std::vector<std::pair<std::string, std::filesystem::path>>;  // by split

Paths find_wiki(const std::filesystem::path& folder) {
  Paths paths;
  for (const std::string ending : {".tokens", ".raw"}) {
    const bool found_others = !paths.empty();
    for (const std::string name : {"train", "valid", "test"}) {
      const auto path = folder / ("wiki." + name + ending);
      if (!std::filesystem::exists(path)) continue;
      if (found_others)
        throw std::runtime_error(folder.string() +
                                 ": holds both .tokens and .raw files; choose "
                                 "with --train, --valid and --test");
      paths.emplace_back(name, path);
    }
  }
  if (paths.empty())
    throw std::runtime_error(folder.string() +
                             ": holds no wiki.{train,valid,test}.{tokens,raw}; "
                             "run data/fetch.sh, or pass --train, --valid and --test");
  return paths;
}

std::vector<Split> open_splits(const PrepareOptions& options) {
  std::vector<Split> splits;
  const bool files = !options.train.empty() || !options.valid.empty() || !options.test.empty();
  if (options.embedded + !options.text.empty() + files != 1)
    throw std::runtime_error(
        "give the text in one way: --text FOLDER, or --train/--valid/--test FILE, or --embedded");
  if (options.embedded) {
    splits.push_back({"train", "the embedded corpus", nullptr,
                      generate_encyclopaedia(kTrainSeed, kTrainTokens, kTrainHymns)});
    splits.push_back({"valid", "the embedded corpus", nullptr,
                      generate_encyclopaedia(kValidSeed, kValidTokens, kValidHymns)});
    return splits;
  }
  const Paths paths =
      files ? Paths{{"train", options.train}, {"valid", options.valid}, {"test", options.test}}
            : find_wiki(options.text);
  for (const auto& [name, path] : paths) {
    if (path.empty()) continue;
    splits.push_back({name, path.string(), std::make_unique<MappedFile>(path), {}});
    if (splits.back().text().empty())
      throw std::runtime_error(path.string() + ": is empty; there is nothing to prepare");
  }

  return splits;
}

/// The kind of tokenizer that is to be made, or "" where a finished one is used. Refuses options
/// that it would ignore.
std::string kind_of(const PrepareOptions& options) {
  const bool given = !options.tokenizer_from.empty();
  const std::string kind = given ? "" : options.tokenizer.empty() ? "word" : options.tokenizer;
  const bool word = kind == "word", bpe = kind == "bpe", gpt2 = kind == "gpt2";
  if (!given && !word && !bpe && !gpt2 && kind != "byte")
    throw std::runtime_error("there is no tokenizer '" + kind + "'; use word, bpe, gpt2 or byte");
  const bool list = !options.vocabulary_list.empty();
  const auto allow = [&](bool allowed, bool set, const std::string& option) {
    if (set && !allowed)
      throw std::runtime_error(option + " does not go with " +
                               (given          ? "--tokenizer-from"
                                : word && list ? "--vocab"
                                               : "--tokenizer " + kind) +
                               "; leave it out");
  };
  allow(!given, !options.tokenizer.empty(), "--tokenizer");
  allow(word, list, "--vocab");
  allow(word && !list, options.min_count != 1, "--min-count");
  allow((word && !list) || bpe, options.vocabulary_size != 0, "--vocab-size");
  allow(gpt2, !options.encoder.empty(), "--encoder");
  allow(gpt2, !options.merges.empty(), "--merges");
  if (gpt2 && (options.encoder.empty() || options.merges.empty()))
    throw std::runtime_error(
        "a gpt2 tokenizer needs --encoder encoder.json and --merges vocab.bpe");
  if (bpe && options.vocabulary_size == 0)
    throw std::runtime_error("a bpe tokenizer needs --vocab-size, for example 8192");
  return kind;
}

/// Calls f, which works on a split's text from byte `offset` on; names file and byte of a fault.
template <class F>
auto locate_faults(const Split& split, size_t offset, const F& f) {
  try {
    return f();
  } catch (const InvalidText& error) {
    throw std::runtime_error(split.source + ": byte " + std::to_string(offset + error.offset) +
                             ": " + error.what());
  }
}

std::unique_ptr<Tokenizer> choose_tokenizer(const PrepareOptions& options, const std::string& kind,
                                            const std::vector<Split>& splits,
                                            const Progress& progress) {
  if (kind.empty()) return load_tokenizer(options.tokenizer_from);
  if (kind == "byte") return make_byte_tokenizer();
  if (kind == "gpt2") return BpeTokenizer::from_gpt2(options.encoder, options.merges);
  if (!options.vocabulary_list.empty()) return WordTokenizer::from_list(options.vocabulary_list);

  const Split& train = splits.front();
  if (train.name != "train")
    throw std::runtime_error(
        "a vocabulary is learned from the training text, and there is none; "
        "pass it, or --tokenizer-from FOLDER");
  if (kind == "bpe") return train_bpe(train.text(), options.vocabulary_size, progress);
  return locate_faults(train, 0, [&] {
    return WordTokenizer::from_text(train.text(), options.min_count, options.vocabulary_size,
                                    progress);
  });
}

/// Writes a split's token file.
PreparedSplit encode_split(const Split& split, const Tokenizer& tokenizer,
                           const std::string& fingerprint, std::ostream& stream,
                           const Progress& progress) {
  PreparedSplit counts{split.name};
  TokenFileWriter writer(stream, tokenizer.vocabulary_size());
  counts.bytes = static_cast<int64_t>(split.text().size());
  std::vector<int32_t> ids;
  for_each_chunk(split.text(), "encoding " + split.name, progress,
                 [&](size_t at, std::string_view chunk) {
                   ids.clear();
                   locate_faults(split, at, [&] { tokenizer.encode(chunk, ids); });
                   for_each_word(
                       chunk, [&](std::string_view) { ++counts.words; }, [&] { ++counts.words; });
                   counts.tokens += static_cast<int64_t>(ids.size());
                   counts.unknown += std::count(ids.begin(), ids.end(), tokenizer.unknown());
                   writer.add(ids);
                 });
  if (counts.tokens == 0)
    throw std::runtime_error(split.source +
                             ": holds only white space; there is nothing to prepare");
  writer.finish({tokenizer.name(), fingerprint, tokenizer.vocabulary_size(), counts.tokens,
                 counts.words, counts.bytes});
  return counts;
}

struct Output {
  std::filesystem::path path;
  std::function<void(std::ostream&)> write;
};

/// Writes each file while the ones before it wait to be renamed, so that a fault in a text or a
/// full disk leaves all old files as they were. The first file is put in its place last.
void write_together(std::span<const Output> outputs, const WriteFile& write_file) {
  if (outputs.empty()) return;
  write_file(outputs.front().path, [&](std::ostream& stream) {
    outputs.front().write(stream);
    // What could not be written is for write_file to report, before anything is replaced.
    if (stream.flush()) write_together(outputs.subspan(1), write_file);
  });
}

void write_marks(const std::vector<Mark>& marks, std::ostream& stream) {
  stream << "position,distance,choices\n";
  for (const Mark& mark : marks)
    stream << mark.position << ',' << mark.distance << ',' << mark.choices << '\n';
}

}  // namespace

Prepared prepare(const PrepareOptions& options, const WriteFile& write_file,
                 const Progress& progress) {
  if (options.out.empty()) throw std::runtime_error("no folder for the result; pass --out FOLDER");
  const std::string kind = kind_of(options);
  const std::vector<Split> splits = open_splits(options);
  const auto tokenizer = choose_tokenizer(options, kind, splits, progress);
  const std::string fingerprint = tokenizer->fingerprint();
  Prepared prepared{tokenizer->name(), tokenizer->vocabulary_size(), {}};
  std::vector<Output> outputs;
  for (const Split& split : splits) {
    outputs.push_back({options.out / (split.name + ".bin"), [&](std::ostream& stream) {
                         prepared.splits.push_back(
                             encode_split(split, *tokenizer, fingerprint, stream, progress));
                       }});
    if (!split.generated.marks.empty() && tokenizer->name() == "word")
      outputs.push_back({options.out / (split.name + ".marks.csv"), [&](std::ostream& stream) {
                           write_marks(split.generated.marks, stream);
                         }});
  }
  outputs.push_back({options.out / "tokenizer.json", [&](std::ostream& stream) {
                       stream << tokenizer->to_json().dump(1) << '\n';
                     }});
  for (const Output& output : outputs) {
    // Found out now, since by the time of renaming others may have been replaced.
    if (std::filesystem::is_directory(output.path))
      throw std::runtime_error(output.path.string() +
                               ": is a folder where a file is to be written");
  }
  write_together(outputs, write_file);
  for (const std::string name : {"train", "valid", "test"}) {
    for (const std::string ending : {".bin", ".marks.csv"}) {
      const auto path = options.out / (name + ending);
      const bool written = std::any_of(outputs.begin(), outputs.end(),
                                       [&](const Output& output) { return output.path == path; });
      if (!written) std::filesystem::remove(path);
    }
  }
  return prepared;
}

}  // namespace farsight
