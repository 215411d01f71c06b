// Tokenizers: text to small integers and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace farsight {

/// Text that a tokenizer cannot represent, and where.
class InvalidText : public std::runtime_error {
 public:
  InvalidText(const std::string& problem, size_t offset)
      : std::runtime_error(problem), offset(offset) {}
  const size_t offset;  // in bytes
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// word, byte, bpe or gpt2.
  virtual std::string name() const = 0;
  virtual int64_t vocabulary_size() const = 0;

  /// Appends the ids of a text. A long text may be given in pieces that end where safe_cut() says;
  /// the ids are the same. Throws InvalidText. One thread at a time.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;

  /// The text of one id in [0, vocabulary_size()).
  virtual std::string text_of(int32_t id) const = 0;

  /// The text of some ids. Throws std::runtime_error naming an id outside the vocabulary.
  std::string decode(std::span<const int32_t> ids) const;

  /// All that load_tokenizer needs.
  virtual nlohmann::json to_json() const = 0;

  /// 16 hexadecimal digits that differ between tokenizers that differ.
  std::string fingerprint() const;
};

/// Reads folder/tokenizer.json. Throws std::runtime_error if it is missing, damaged or unknown.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

/// One id per byte, 0 … 255.
std::unique_ptr<Tokenizer> make_byte_tokenizer();

/// Where a text can be cut without changing anybody's tokens: the largest place up to `limit` that
/// stands before a space or line end and behind a visible ASCII character, else text.size().
size_t safe_cut(std::string_view text, size_t limit);

}  // namespace farsight
