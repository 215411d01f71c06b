// Sequences at evenly spaced places of a text: what a model is analysed on.
#pragma once

#include <vector>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

class EvenSequences {
 public:
  /// `count` sequences of `length` tokens, which must outlive neither model nor text. Throws Error
  /// if a number makes no sense, the text has too few tokens or another vocabulary than the model.
  EvenSequences(const LanguageModel& model, const TokenSource& text, int64_t length, int64_t count);

  /// Sequence i, which starts at token floor(i (size - length) / count), and the token after it.
  std::vector<int32_t> read(int64_t i) const;

 private:
  const TokenSource& text_;
  const int64_t length_, count_;
};

/// Throws Error if the text's tokens are not the model's.
void require_same_vocabulary(const LanguageModel& model, const TokenSource& text);

}  // namespace farsight
