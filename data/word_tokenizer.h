// WikiText's own tokens: what stands between spaces, and <eos> for each end of line.
#pragma once

#include <unordered_map>

#include "data/chunks.h"
#include "data/tokenizer.h"

namespace farsight {

class WordTokenizer : public Tokenizer {
 public:
  /// Ids in this order; <unk> and <eos> are put in front unless they are there. Throws
  /// std::runtime_error if a word stands twice.
  explicit WordTokenizer(std::vector<std::string> words);

  /// From to_json().
  explicit WordTokenizer(const nlohmann::json& json);

  /// From a list, one "word" or "word count" per line, in its order; words counted 0 are fillers
  /// and left out. Throws std::runtime_error naming the file and what is wrong with it.
  static std::unique_ptr<WordTokenizer> from_list(const std::filesystem::path& list);

  /// From a text: <eos>, <unk> and the words that occur min_count times or more, most frequent
  /// first and equally frequent ones in order of their bytes; at most vocabulary_size entries in
  /// all (0 = no limit). Throws InvalidText, and std::runtime_error on limits that make no sense.
  static std::unique_ptr<WordTokenizer> from_text(std::string_view text, int64_t min_count,
                                                  int64_t vocabulary_size,
                                                  const Progress& progress = {});

  std::string name() const override { return "word"; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(words_.size()); }
  /// Throws InvalidText at the first byte that is not UTF-8.
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  /// The word, with a space before it unless it begins a line; for <eos> the end of line.
  void append_text(int32_t id, std::string& text) const override;
  int32_t unknown() const override { return unknown_; }
  nlohmann::json to_json() const override;

 private:
  void index();

  std::vector<std::string> words_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views into words_
  int32_t unknown_ = 0, end_of_line_ = 0;
};

/// Calls on_word(std::string_view) for each run of other than ASCII white space, and on_line() for
/// each line feed, in order.
template <class OnWord, class OnLine>
void for_each_word(std::string_view text, const OnWord& on_word, const OnLine& on_line) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  for (size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      if (text[at] == '\n') on_line();
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !is_space(text[end])) ++end;
    on_word(text.substr(at, end - at));
    at = end;
  }
}

}  // namespace farsight
