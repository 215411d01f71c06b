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

  /// Appends the ids of a text. A long text may be given in chunks, see chunks.h: the ids are the
  /// same. Throws InvalidText. One thread at a time.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;

  /// Appends the text of one id in [0, vocabulary_size()) to the text that stands before it.
  virtual void append_text(int32_t id, std::string& text) const = 0;

  /// The id of everything that the vocabulary lacks, or -1 if it lacks nothing.
  virtual int32_t unknown() const { return -1; }

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

}  // namespace farsight
