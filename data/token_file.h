// Token files: a text as token ids, memory-mapped. A header of 112 bytes names the tokenizer and
// counts what the text held; then the ids follow, 16 bits each if the vocabulary allows, else 32,
// little-endian. Checksums cover both.
#pragma once

#include <filesystem>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "data/mapped_file.h"

namespace farsight {

/// What a token file says of itself.
struct TokenHeader {
  std::string tokenizer;    // its name, up to 15 characters
  std::string fingerprint;  // of the tokenizer, 16 characters
  int64_t vocabulary = 0;   // every id is below it
  int64_t tokens = 0;
  int64_t words = 0;  // of the original text, one end of line per line included
  int64_t bytes = 0;  // of the original text
};

/// Writes a token file to a seekable stream, from its start: ids as they come, the header at last.
class TokenFileWriter {
 public:
  TokenFileWriter(std::ostream& stream, int64_t vocabulary);
  ~TokenFileWriter();
  /// Throws std::runtime_error on an id outside the vocabulary.
  void add(std::span<const int32_t> ids);
  /// The writer fills in vocabulary and number of tokens.
  void finish(const TokenHeader& header);

 private:
  struct Hash;
  std::ostream& stream_;
  const int64_t vocabulary_;
  int64_t tokens_ = 0;
  std::unique_ptr<Hash> hash_;
};

class TokenFile {
 public:
  /// Verifies header, size, checksums and that every id is in the vocabulary. Throws
  /// std::runtime_error naming the file, the fault and what to do.
  explicit TokenFile(const std::filesystem::path& path);

  const TokenHeader& header() const { return header_; }
  int64_t size() const { return header_.tokens; }

  /// Copies the ids from `begin` on. Throws std::runtime_error if the range leaves the file.
  void read(int64_t begin, std::span<int32_t> out) const;

 private:
  /// Calls f(const T*) with the ids as they lie in the file.
  template <class F>
  void with_ids(const F& f) const;

  std::string path_;
  MappedFile file_;
  TokenHeader header_;
  std::string_view ids_;
};

}  // namespace farsight
