// What training and evaluation know of a text: a long sequence of token ids, read piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace farsight {

struct TokenSource {
  std::string name;        // for messages: the file
  int64_t size = 0;        // tokens
  int64_t vocabulary = 0;  // every id is below it
  int64_t words = 0;       // of the original text, one end of line per line included
  int64_t bytes = 0;       // of the original text
  std::string tokenizer;   // fingerprint
  std::function<void(int64_t begin, std::span<int32_t> out)> read;
};

}  // namespace farsight
