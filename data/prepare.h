// From text to a folder of token files: tokenizer.json and {train,valid,test}.bin.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace farsight {

/// Writes one file whole or not at all; the program passes its own.
using WriteFile = std::function<void(const std::filesystem::path& path,
                                     const std::function<void(std::ostream&)>& write)>;
/// Told of what is being done and how much of it is.
using Progress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

struct PrepareOptions {
  /// A folder with wiki.{train,valid,test}.{tokens,raw}.
  std::filesystem::path text;
  /// Or any text files.
  std::filesystem::path train, valid, test;
  /// Or the embedded corpus.
  bool embedded = false;

  std::string tokenizer = "word";         // word, bpe, gpt2 or byte
  std::filesystem::path tokenizer_from;   // instead: a folder with a tokenizer.json
  std::filesystem::path vocabulary_list;  // word: the words, instead of counting the text's
  int64_t min_count = 1;                  // word: rarer ones become <unk>
  int64_t vocabulary_size = 0;            // word: at most this many (0 = all); bpe: exactly
  std::filesystem::path encoder, merges;  // gpt2: encoder.json and vocab.bpe
  std::filesystem::path out;
};

struct PreparedSplit {
  std::string name;  // train, valid or test
  int64_t tokens = 0, words = 0, bytes = 0;
};

struct Prepared {
  std::string tokenizer;
  int64_t vocabulary = 0;
  std::vector<PreparedSplit> splits;
};

/// Tokenizes what there is of train, valid and test. A vocabulary that has to be learned is learned
/// from train. Throws std::runtime_error if something is missing, empty or contradictory.
Prepared prepare(const PrepareOptions& options, const WriteFile& write_file,
                 const Progress& progress);

}  // namespace farsight
