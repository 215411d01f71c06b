// What all tokenizers share, and the byte tokenizer: see tokenizer.h.
#include "data/tokenizer.h"

#include <xxhash.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "data/bpe_tokenizer.h"
#include "data/word_tokenizer.h"

namespace farsight {
namespace {

class ByteTokenizer : public Tokenizer {
 public:
  std::string name() const override { return "byte"; }
  int64_t vocabulary_size() const override { return 256; }
  void encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  }
  void append_text(int32_t id, std::string& text) const override { text += static_cast<char>(id); }
  nlohmann::json to_json() const override { return {{"kind", "byte"}}; }
};

}  // namespace

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  const int64_t size = vocabulary_size();
  for (const int32_t id : ids) {
    if (id < 0 || id >= size)
      throw std::runtime_error("token id " + std::to_string(id) + " is outside the vocabulary of " +
                               std::to_string(size));
    append_text(id, text);
  }
  return text;
}

std::string Tokenizer::fingerprint() const {
  const std::string json = to_json().dump();
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(XXH64(json.data(), json.size(), 0)));
  return digits;
}

std::unique_ptr<Tokenizer> make_byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  const std::string path = (folder / "tokenizer.json").string();
  std::ifstream file(path);
  if (!file)
    throw std::runtime_error(path + ": not found; pass a folder made by `farsight prepare`");
  try {
    const nlohmann::json json = nlohmann::json::parse(file);
    const std::string kind = json.at("kind");
    if (kind == "byte") return make_byte_tokenizer();
    if (kind == "word") return std::make_unique<WordTokenizer>(json);
    if (kind == "bpe" || kind == "gpt2") return std::make_unique<BpeTokenizer>(json);
    throw std::runtime_error("unknown kind of tokenizer '" + kind + "'");
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": damaged (" + error.what() +
                             "); run `farsight prepare` again");
  }
}

}  // namespace farsight
