// From text to a folder of token files: tokenizer.json and {train,valid,test}.bin.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "data/chunks.h"

namespace farsight {

/// Writes one file whole or not at all; the program passes its own.
using WriteFile = std::function<void(const std::filesystem::path& path,
                                     const std::function<void(std::ostream&)>& write)>;

struct PrepareOptions {
  /// A folder with wiki.{train,valid,test}.tokens, or the same .raw; not all three need be there.
  std::filesystem::path text;
  /// Or any text files.
  std::filesystem::path train, valid, test;
  /// Or the embedded corpus.
  bool embedded = false;

  std::string tokenizer;                  // word (which "" means too), bpe, gpt2 or byte
  std::filesystem::path tokenizer_from;   // instead: a folder with a tokenizer.json
  std::filesystem::path vocabulary_list;  // word: the words, instead of counting the text's
  int64_t min_count = 1;                  // word: rarer ones become <unk>
  int64_t vocabulary_size = 0;  // word: at most this many (0 = all); bpe: so many, if they occur
  std::filesystem::path encoder, merges;  // gpt2: encoder.json and vocab.bpe
  std::filesystem::path out;
};

struct PreparedSplit {
  std::string name;  // train, valid or test
  int64_t tokens = 0;
  int64_t words = 0;  // between white space, and one per line feed
  int64_t bytes = 0;
  int64_t unknown = 0;  // how many of the tokens stand for what the vocabulary lacks
};

struct Prepared {
  std::string tokenizer;
  int64_t vocabulary = 0;
  std::vector<PreparedSplit> splits;
};

/// Tokenizes what there is of train, valid and test, byte for byte as it is. A vocabulary that has
/// to be learned is learned from train. All files are written before the first takes the place of
/// an old one, and those of a former preparation that this one has no successors for are removed,
/// so that all in the folder belong together. Recall marks are written for word tokens, in which
/// they count. Throws std::runtime_error if something is missing, empty, contradictory or not text.
Prepared prepare(const PrepareOptions& options, const WriteFile& write_file,
                 const Progress& progress = {});

}  // namespace farsight
