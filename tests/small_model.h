// Small models and texts for tests.
#pragma once

#include "train/trainer.h"

namespace farsight {

/// Two blocks of width 16 with 4 heads; 13 tokens.
inline ModelConfig small_model(const std::string& position) {
  ModelConfig config;
  config.vocabulary = 13;
  config.width = 16;
  config.heads = 4;
  config.blocks = 2;
  config.length = 8;
  config.position = position;
  return config;
}

/// A text of `size` tokens that follows rules: a model can learn it.
inline TokenSource small_text(int64_t size) {
  TokenSource text;
  text.name = "small text";
  text.size = size;
  text.vocabulary = 13;
  text.words = size;
  text.bytes = 5 * size;
  text.tokenizer = "0123456789abcdef";
  text.read = [](int64_t begin, std::span<int32_t> out) {
    for (size_t i = 0; i < out.size(); ++i) {
      const int64_t at = begin + static_cast<int64_t>(i);
      out[i] = static_cast<int32_t>((at * at + at / 3) % 13);
    }
  };
  return text;
}

/// A short run of the small model.
inline Config small_run(const std::string& position) {
  Config config;
  config.model = small_model(position);
  config.batch = 3;
  config.steps = 8;
  config.warmup = 2;
  config.rate = 3e-3;
  return config;
}

/// `count` tokens from `begin` of the small text, in the backend's memory.
inline Ids small_ids(int64_t begin, int64_t count) {
  std::vector<int32_t> ids(count);
  small_text(begin + count).read(begin, ids);
  return Ids(ids, cpu_backend());
}

/// The text of the error that f throws, or "" if it throws none.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace farsight
