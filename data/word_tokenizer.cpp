// The word tokenizer: see word_tokenizer.h.
#include "data/word_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace farsight {
namespace {

constexpr const char* kUnknown = "<unk>";
constexpr const char* kEndOfLine = "<eos>";

void require_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t point;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(&text[at]),
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &point);
    if (length <= 0)
      throw InvalidText("not valid UTF-8; repair the text or use a byte-level tokenizer (byte, "
                        "bpe or gpt2)",
                        at);
    at += length;
  }
}

}  // namespace

WordTokenizer::WordTokenizer(std::vector<std::string> words) : words_(std::move(words)) {
  for (const char* special : {kEndOfLine, kUnknown}) {
    if (!std::count(words_.begin(), words_.end(), special)) words_.insert(words_.begin(), special);
  }
  index();
}

WordTokenizer::WordTokenizer(const nlohmann::json& json)
    : words_(json.at("words").get<std::vector<std::string>>()) {
  index();
}

void WordTokenizer::index() {
  for (size_t id = 0; id < words_.size(); ++id) {
    if (!ids_.emplace(words_[id], static_cast<int32_t>(id)).second)
      throw std::runtime_error("the word '" + words_[id] + "' stands twice in the vocabulary");
  }
  unknown_ = ids_.at(kUnknown);
  end_of_line_ = ids_.at(kEndOfLine);
}

std::unique_ptr<WordTokenizer> WordTokenizer::from_list(const std::filesystem::path& list) {
  std::ifstream file(list);
  if (!file) throw std::runtime_error(list.string() + ": not found; it should list the words");
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string word;
    if (!(fields >> word)) continue;
    int64_t count = 1;
    if (fields >> count; count > 0) words.push_back(word);
  }
  return std::make_unique<WordTokenizer>(std::move(words));
}

std::unique_ptr<WordTokenizer> WordTokenizer::from_text(std::string_view text, int64_t min_count,
                                                        int64_t vocabulary_size) {
  std::unordered_map<std::string_view, int64_t> counts;
  counts[kUnknown] = counts[kEndOfLine] = 0;
  for_each_word(
      text, [&](std::string_view word) { ++counts[word]; }, [&] { ++counts[kEndOfLine]; });
  std::vector<std::pair<std::string_view, int64_t>> sorted;
  for (const auto& [word, count] : counts) {
    // The two special ones always stay, so they go first.
    const bool special = word == kUnknown || word == kEndOfLine;
    if (special || count >= min_count) sorted.emplace_back(word, special ? INT64_MAX : count);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (vocabulary_size > 0 && static_cast<int64_t>(sorted.size()) > vocabulary_size)
    sorted.resize(std::max<int64_t>(2, vocabulary_size));
  std::vector<std::string> words;
  for (const auto& [word, count] : sorted) words.emplace_back(word);
  return std::make_unique<WordTokenizer>(std::move(words));
}

void WordTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  require_utf8(text);
  for_each_word(
      text,
      [&](std::string_view word) {
        const auto found = ids_.find(word);
        ids.push_back(found == ids_.end() ? unknown_ : found->second);
      },
      [&] { ids.push_back(end_of_line_); });
}

std::string WordTokenizer::text_of(int32_t id) const {
  return id == end_of_line_ ? "\n" : words_[id] + " ";
}

nlohmann::json WordTokenizer::to_json() const { return {{"kind", "word"}, {"words", words_}}; }

}  // namespace farsight
