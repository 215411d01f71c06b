// What the tests of tokenizers share: texts that are hard to cut and a small GPT-2 vocabulary.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe_tokenizer.h"
#include "tests/temporary_folder.h"

namespace farsight {

inline std::vector<int32_t> encode(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

/// Bytes that are mostly words and white space, with Unicode and invalid UTF-8 among them.
inline std::string random_text(int pieces, unsigned seed) {
  static const std::vector<std::string> pool = {"a",
                                                "the",
                                                "The",
                                                "'s",
                                                "'",
                                                " ",
                                                " ",
                                                "  ",
                                                "\n",
                                                "\n\n",
                                                "\t",
                                                "7",
                                                "1984",
                                                "\xC2\xA0",
                                                ".",
                                                "\xC3\xA9",
                                                "\xE2\x80\xA8",
                                                "\xE3\x80\x80",
                                                "\xE4\xB8",
                                                "\xAD\xFF",
                                                "\xF0\x9F\x99\x82",
                                                "\xC2",
                                                "\xA0",
                                                "\xC2\x85",
                                                "\x1C",
                                                "\r\n",
                                                "!?",
                                                "\xE4\xB8\xAD",
                                                "x",
                                                "ab",
                                                "abab"};
  std::mt19937 random(seed);
  std::string text;
  for (int i = 0; i < pieces; ++i) text += pool[random() % pool.size()];
  return text;
}

/// A GPT-2 vocabulary in its two files: the 256 bytes in GPT-2's order, then one token per merge.
inline std::unique_ptr<BpeTokenizer> small_gpt2(const TemporaryFolder& folder) {
  const BpeTokenizer bytes(std::vector<BpeTokenizer::Pair>{});
  nlohmann::json encoder;
  // GPT-2 numbers the printable bytes first, from '!' on.
  int32_t next = 0;
  const auto characters = bytes.to_json().at("tokens");
  const auto is_itself = [](int b) {
    return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
  };
  for (const bool printable : {true, false})
    for (int b = 0; b < 256; ++b)
      if (is_itself(b) == printable) encoder[characters[b].get<std::string>()] = next++;
  const std::string merges = "#version: 0.2\nl l\nH e\nhe ll\nĠ w\nĠw o\nh e\nll o\nHe llo\n";
  for (const char* token : {"ll", "He", "Ġw", "Ġwo", "he", "hell", "llo", "Hello"})
    encoder[token] = next++;
  return BpeTokenizer::from_gpt2(folder.write("encoder.json", encoder.dump()),
                                 folder.write("vocab.bpe", merges));
}

}  // namespace farsight
