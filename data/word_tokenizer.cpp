// The word tokenizer: see word_tokenizer.h.
#include "data/word_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "data/mapped_file.h"

namespace farsight {
namespace {

constexpr const char* kUnknown = "<unk>";
constexpr const char* kEndOfLine = "<eos>";

/// Throws InvalidText; the text begins at `offset` of a longer one.
void require_utf8(std::string_view text, size_t offset = 0) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t point;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(&text[at]),
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &point);
    if (length <= 0)
      throw InvalidText(
          "not valid UTF-8; repair the text or use a byte-level tokenizer (byte, "
          "bpe or gpt2)",
          offset + at);
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
  const auto special = [&](const char* word) {
    const auto found = ids_.find(word);
    if (found == ids_.end()) throw std::runtime_error(std::string("the vocabulary has no ") + word);
    return found->second;
  };
  unknown_ = special(kUnknown);
  end_of_line_ = special(kEndOfLine);
}

std::unique_ptr<WordTokenizer> WordTokenizer::from_list(const std::filesystem::path& list) {
  const MappedFile file(list);
  std::vector<std::string> words;
  std::vector<std::string_view> fields;  // of one line
  int64_t lines = 0;
  const auto end_line = [&] {
    ++lines;
    uint64_t count = 1;
    bool valid = fields.size() <= 2;
    if (fields.size() == 2) {
      const char* end = fields[1].data() + fields[1].size();
      const auto result = std::from_chars(fields[1].data(), end, count);
      valid = result.ec == std::errc() && result.ptr == end;
    }
    if (!valid)
      throw std::runtime_error("line " + std::to_string(lines) +
                               ": expected a word, or a word and its count");
    if (!fields.empty() && count > 0) words.emplace_back(fields[0]);
    fields.clear();
  };
  try {
    require_utf8(file.bytes());
    for_each_word(
        file.bytes(), [&](std::string_view word) { fields.push_back(word); }, end_line);
    end_line();
    if (words.empty()) throw std::runtime_error("lists no words");
    return std::make_unique<WordTokenizer>(std::move(words));
  } catch (const InvalidText& error) {
    throw std::runtime_error(list.string() + ": byte " + std::to_string(error.offset) +
                             ": not valid UTF-8");
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(list.string() + ": " + error.what());
  }
}

std::unique_ptr<WordTokenizer> WordTokenizer::from_text(std::string_view text, int64_t min_count,
                                                        int64_t vocabulary_size,
                                                        const Progress& progress) {
  if (min_count < 1)
    throw std::runtime_error("--min-count must be 1 or more, not " + std::to_string(min_count));
  if (vocabulary_size != 0 && vocabulary_size < 3)
    throw std::runtime_error(
        "--vocab-size of word must be 3 or more (<eos>, <unk> and a word), or 0 for all words, "
        "not " +
        std::to_string(vocabulary_size));
  std::unordered_map<std::string_view, int64_t> counts;
  counts[kUnknown] = counts[kEndOfLine] = 0;
  for_each_chunk(text, "counting words", progress, [&](size_t at, std::string_view chunk) {
    require_utf8(chunk, at);
    for_each_word(
        chunk, [&](std::string_view word) { ++counts[word]; }, [] {});
  });
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
    sorted.resize(vocabulary_size);
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

void WordTokenizer::append_text(int32_t id, std::string& text) const {
  if (id == end_of_line_) {
    text += '\n';
    return;
  }
  if (!text.empty() && text.back() != '\n') text += ' ';
  text += words_[id];
}

nlohmann::json WordTokenizer::to_json() const { return {{"kind", "word"}, {"words", words_}}; }

}  // namespace farsight
