// Reading and writing token files: see token_file.h.
#include "data/token_file.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace farsight {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

constexpr char kMagic[8] = {'F', 'A', 'R', 'T', 'O', 'K', 'N', '1'};  // the last is the version

struct RawHeader {
  char magic[8];
  uint64_t bytes_per_token, vocabulary, tokens, words, bytes;
  char tokenizer[16], fingerprint[16];
  uint64_t ids_hash, padding;
  uint64_t header_hash;  // of all before it
  uint64_t reserved;
};
static_assert(sizeof(RawHeader) == 112);

uint64_t hash_of(const RawHeader& raw) {
  return XXH3_64bits(&raw, offsetof(RawHeader, header_hash));
}

/// Bytes per token.
int64_t width_for(int64_t vocabulary) { return vocabulary <= 65536 ? 2 : 4; }

/// The path, if there is something. Throws std::runtime_error.
const std::filesystem::path& existing(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    throw std::runtime_error(path.string() + ": not found; make it with `farsight prepare`");
  return path;
}

}  // namespace

struct TokenFileWriter::Hash {
  XXH3_state_t* state = XXH3_createState();
  Hash() { XXH3_64bits_reset(state); }
  ~Hash() { XXH3_freeState(state); }
};

TokenFileWriter::TokenFileWriter(std::ostream& stream, int64_t vocabulary)
    : stream_(stream), vocabulary_(vocabulary), hash_(std::make_unique<Hash>()) {
  const RawHeader blank{};
  stream_.write(reinterpret_cast<const char*>(&blank), sizeof blank);
}

TokenFileWriter::~TokenFileWriter() = default;

void TokenFileWriter::add(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary_)
      throw std::runtime_error("token id " + std::to_string(id) + " is outside the vocabulary of " +
                               std::to_string(vocabulary_));
  }
  const auto write = [&](const void* data, size_t bytes) {
    stream_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    XXH3_64bits_update(hash_->state, data, bytes);
  };
  if (width_for(vocabulary_) == 2) {
    const std::vector<uint16_t> narrow(ids.begin(), ids.end());
    write(narrow.data(), narrow.size() * 2);
  } else {
    write(ids.data(), ids.size_bytes());
  }
  tokens_ += static_cast<int64_t>(ids.size());
}

void TokenFileWriter::finish(const TokenHeader& header) {
  RawHeader raw{};
  std::memcpy(raw.magic, kMagic, sizeof kMagic);
  raw.bytes_per_token = width_for(vocabulary_);
  raw.vocabulary = vocabulary_;
  raw.tokens = tokens_;
  raw.words = header.words;
  raw.bytes = header.bytes;
  header.tokenizer.copy(raw.tokenizer, sizeof raw.tokenizer - 1);
  header.fingerprint.copy(raw.fingerprint, sizeof raw.fingerprint);
  raw.ids_hash = XXH3_64bits_digest(hash_->state);
  raw.header_hash = hash_of(raw);
  stream_.seekp(0);
  stream_.write(reinterpret_cast<const char*>(&raw), sizeof raw);
}

TokenFile::TokenFile(const std::filesystem::path& path)
    : path_(path.string()), file_(existing(path)) {
  const auto refuse = [&](const std::string& fault) {
    throw std::runtime_error(path_ + ": " + fault + "; run `farsight prepare` again");
  };
  const std::string_view bytes = file_.bytes();
  if (bytes.empty()) refuse("is empty");
  if (!bytes.starts_with(std::string_view(kMagic, sizeof kMagic - 1)))
    refuse("is no token file of farsight");
  RawHeader raw;
  if (bytes.size() < sizeof raw) refuse("is truncated inside its header");
  std::memcpy(&raw, bytes.data(), sizeof raw);
  if (raw.magic[7] != kMagic[7])
    refuse(std::string("has format version ") + raw.magic[7] + ", not " + kMagic[7]);
  if (raw.header_hash != hash_of(raw) || raw.reserved != 0) refuse("its header is damaged");
  const uint64_t largest_count = std::max({raw.tokens, raw.words, raw.bytes});
  if (largest_count > INT64_MAX || raw.vocabulary == 0 || raw.vocabulary > INT32_MAX ||
      static_cast<int64_t>(raw.bytes_per_token) != width_for(static_cast<int64_t>(raw.vocabulary)))
    refuse("its header makes no sense");
  ids_ = bytes.substr(sizeof raw);
  if (ids_.size() / raw.bytes_per_token != raw.tokens || ids_.size() % raw.bytes_per_token)
    refuse("is truncated or has something appended: " + std::to_string(ids_.size()) +
           " bytes of ids instead of " + std::to_string(raw.tokens * raw.bytes_per_token));
  if (XXH3_64bits(ids_.data(), ids_.size()) != raw.ids_hash)
    refuse("is damaged: the checksum does not fit");

  header_.tokenizer.assign(raw.tokenizer, strnlen(raw.tokenizer, sizeof raw.tokenizer));
  header_.fingerprint.assign(raw.fingerprint, strnlen(raw.fingerprint, sizeof raw.fingerprint));
  header_.vocabulary = static_cast<int64_t>(raw.vocabulary);
  header_.tokens = static_cast<int64_t>(raw.tokens);
  header_.words = static_cast<int64_t>(raw.words);
  header_.bytes = static_cast<int64_t>(raw.bytes);
  with_ids([&](const auto* ids) {
    // As unsigned numbers, so that a negative id is too large.
    uint32_t largest = 0;
    for (int64_t i = 0; i < header_.tokens; ++i)
      largest = std::max(largest, static_cast<uint32_t>(ids[i]));
    if (header_.tokens > 0 && largest >= raw.vocabulary)
      refuse("holds token " + std::to_string(static_cast<int32_t>(largest)) +
             ", outside the vocabulary of " + std::to_string(header_.vocabulary));
  });
}

template <class F>
void TokenFile::with_ids(const F& f) const {
  // Mapped pages and the header of 112 bytes keep the ids aligned.
  if (width_for(header_.vocabulary) == 2) {
    f(reinterpret_cast<const uint16_t*>(ids_.data()));
  } else {
    f(reinterpret_cast<const int32_t*>(ids_.data()));
  }
}

void TokenFile::read(int64_t begin, std::span<int32_t> out) const {
  const auto length = static_cast<int64_t>(out.size());
  if (begin < 0 || length > size() || begin > size() - length)
    throw std::runtime_error(path_ + ": " + std::to_string(length) + " tokens from token " +
                             std::to_string(begin) + " on are not all in this file of " +
                             std::to_string(size()));
  with_ids([&](const auto* ids) { std::copy_n(ids + begin, length, out.begin()); });
}

}  // namespace farsight
