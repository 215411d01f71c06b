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

constexpr char kMagic[8] = {'F', 'A', 'R', 'T', 'O', 'K', 'N', '1'};

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

int64_t width_for(int64_t vocabulary) { return vocabulary <= 65536 ? 2 : 4; }

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

void TokenFileWriter::finish(TokenHeader header) {
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

TokenFile::TokenFile(const std::filesystem::path& path) : path_(path.string()), file_([&] {
  if (!std::filesystem::exists(path))
    throw std::runtime_error(path.string() + ": not found; make it with `farsight prepare`");
  return path;
}()) {
  const auto refuse = [&](const std::string& fault) {
    throw std::runtime_error(path_ + ": " + fault + "; run `farsight prepare` again");
  };
  const std::string_view bytes = file_.bytes();
  RawHeader raw{};
  if (bytes.empty()) refuse("is empty");
  if (bytes.size() < sizeof raw || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    refuse("is no token file of farsight");
  std::memcpy(&raw, bytes.data(), sizeof raw);
  if (raw.header_hash != hash_of(raw)) refuse("its header is damaged");
  ids_ = bytes.substr(sizeof raw);
  bytes_per_token_ = static_cast<int64_t>(raw.bytes_per_token);
  if (bytes_per_token_ != 2 && bytes_per_token_ != 4) refuse("its header makes no sense");
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
  for (int64_t i = 0; i < header_.tokens; ++i) {
    if (at(i) < 0 || at(i) >= header_.vocabulary)
      refuse("token " + std::to_string(i) + " is " + std::to_string(at(i)) +
             ", outside the vocabulary of " + std::to_string(header_.vocabulary));
  }
}

int32_t TokenFile::at(int64_t index) const {
  const char* from = ids_.data() + index * bytes_per_token_;
  if (bytes_per_token_ == 2) {
    uint16_t id;
    std::memcpy(&id, from, sizeof id);
    return id;
  }
  int32_t id;
  std::memcpy(&id, from, sizeof id);
  return id;
}

void TokenFile::read(int64_t begin, std::span<int32_t> out) const {
  if (begin < 0 || begin + static_cast<int64_t>(out.size()) > header_.tokens)
    throw std::runtime_error(path_ + ": tokens " + std::to_string(begin) + " to " +
                             std::to_string(begin + static_cast<int64_t>(out.size())) +
                             " are not all in this file of " + std::to_string(header_.tokens));
  for (size_t i = 0; i < out.size(); ++i) out[i] = at(begin + static_cast<int64_t>(i));
}

}  // namespace farsight
