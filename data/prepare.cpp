// Preparing token files: see prepare.h.
#include "data/prepare.h"

#include <memory>
#include <stdexcept>

#include "data/bpe_tokenizer.h"
#include "data/encyclopaedia.h"
#include "data/mapped_file.h"
#include "data/token_file.h"
#include "data/word_tokenizer.h"

namespace farsight {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

/// One part of the text, from a file or generated.
struct Split {
  std::string name, source;
  std::unique_ptr<MappedFile> file;
  GeneratedText generated;

  std::string_view text() const { return file ? file->bytes() : generated.text; }
};

std::filesystem::path find_wiki(const std::filesystem::path& folder, const std::string& name) {
  for (const char* ending : {".tokens", ".raw"}) {
    const auto path = folder / ("wiki." + name + ending);
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

std::vector<Split> open_splits(const PrepareOptions& options) {
  std::vector<Split> splits;
  const bool files = !options.train.empty() || !options.valid.empty() || !options.test.empty();
  if (options.embedded + !options.text.empty() + files != 1)
    throw std::runtime_error(
        "give the text in one way: --text FOLDER, or --train/--valid/--test FILE, or --embedded");
  if (options.embedded) {
    for (const auto& [name, seed, tokens] :
         {std::tuple("train", kTrainSeed, kTrainTokens), std::tuple("valid", kValidSeed,
                                                                    kValidTokens)})
      splits.push_back({name, "the embedded corpus", nullptr, generate_encyclopaedia(seed, tokens)});
    return splits;
  }
  for (const auto& [name, given] : {std::pair("train", options.train),
                                    std::pair("valid", options.valid),
                                    std::pair("test", options.test)}) {
    const auto path = options.text.empty() ? given : find_wiki(options.text, name);
    if (path.empty()) continue;
    splits.push_back({name, path.string(), std::make_unique<MappedFile>(path), {}});
    if (splits.back().text().empty())
      throw std::runtime_error(path.string() + ": is empty; there is nothing to prepare");
  }
  if (splits.empty())
    throw std::runtime_error(options.text.string() +
                             ": holds no wiki.{train,valid,test}.{tokens,raw}; run data/fetch.sh, "
                             "or pass --train, --valid and --test");
  return splits;
}

std::unique_ptr<Tokenizer> choose_tokenizer(const PrepareOptions& options,
                                            const std::vector<Split>& splits,
                                            const Progress& progress) {
  const auto train_text = [&]() -> std::string_view {
    if (splits[0].name != "train")
      throw std::runtime_error("a vocabulary is learned from the training text, and there is none; "
                               "pass it, or --tokenizer-from FOLDER");
    return splits[0].text();
  };
  if (!options.tokenizer_from.empty()) return load_tokenizer(options.tokenizer_from);
  if (options.tokenizer == "byte") return make_byte_tokenizer();
  if (options.tokenizer == "gpt2")
    return BpeTokenizer::from_gpt2(options.encoder, options.merges);
  if (options.tokenizer == "word") {
    if (!options.vocabulary_list.empty()) return WordTokenizer::from_list(options.vocabulary_list);
    return WordTokenizer::from_text(train_text(), options.min_count, options.vocabulary_size);
  }
  if (options.tokenizer == "bpe") {
    if (options.vocabulary_size == 0)
      throw std::runtime_error("a bpe tokenizer needs --vocab-size, for example 8192");
    return train_bpe(train_text(), options.vocabulary_size, [&](int64_t done, int64_t total) {
      progress("learning merges", done, total);
    });
  }
  throw std::runtime_error("there is no tokenizer '" + options.tokenizer +
                           "'; use word, bpe, gpt2 or byte");
}

PreparedSplit encode_split(const Split& split, const Tokenizer& tokenizer, std::ostream& stream,
                           const Progress& progress) {
  PreparedSplit counts{split.name, 0, 0, 0};
  TokenFileWriter writer(stream, tokenizer.vocabulary_size());
  const std::string_view text = split.text();
  counts.bytes = static_cast<int64_t>(text.size());
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const std::string_view piece = rest.substr(0, safe_cut(rest, kPieceBytes));
    std::vector<int32_t> ids;
    try {
      tokenizer.encode(piece, ids);
    } catch (const InvalidText& error) {
      throw std::runtime_error(split.source + ": byte " + std::to_string(at + error.offset) + ": " +
                               error.what());
    }
    for_each_word(
        piece, [&](std::string_view) { ++counts.words; }, [&] { ++counts.words; });
    counts.tokens += static_cast<int64_t>(ids.size());
    writer.add(ids);
    at += piece.size();
    progress("encoding " + split.name, static_cast<int64_t>(at), counts.bytes);
  }
  writer.finish({tokenizer.name(), tokenizer.fingerprint(), tokenizer.vocabulary_size(),
                 counts.tokens, counts.words, counts.bytes});
  return counts;
}

}  // namespace

Prepared prepare(const PrepareOptions& options, const WriteFile& write_file,
                 const Progress& progress) {
  if (options.out.empty()) throw std::runtime_error("no folder for the result; pass --out FOLDER");
  const std::vector<Split> splits = open_splits(options);
  const auto tokenizer = choose_tokenizer(options, splits, progress);
  Prepared prepared{tokenizer->name(), tokenizer->vocabulary_size(), {}};
  write_file(options.out / "tokenizer.json",
             [&](std::ostream& stream) { stream << tokenizer->to_json().dump(1) << '\n'; });
  for (const Split& split : splits) {
    write_file(options.out / (split.name + ".bin"), [&](std::ostream& stream) {
      prepared.splits.push_back(encode_split(split, *tokenizer, stream, progress));
    });
    if (split.generated.marks.empty()) continue;
    write_file(options.out / (split.name + ".marks.csv"), [&](std::ostream& stream) {
      stream << "position,distance,choices\n";
      for (const Mark& mark : split.generated.marks)
        stream << mark.position << ',' << mark.distance << ',' << mark.choices << '\n';
    });
  }
  return prepared;
}

}  // namespace farsight
