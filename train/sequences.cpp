// Sequences at evenly spaced places: see sequences.h.
#include "train/sequences.h"

#include "core/error.h"

namespace farsight {

void require_same_vocabulary(const LanguageModel& model, const TokenSource& text) {
  check(text.vocabulary == model.config().vocabulary, text.name, ": has a vocabulary of ",
        text.vocabulary, " and the model one of ", model.config().vocabulary,
        "; use the data that it was trained on");
}

EvenSequences::EvenSequences(const LanguageModel& model, const TokenSource& text, int64_t length,
                             int64_t count)
    : text_(text), length_(length), count_(count) {
  check(length > 0, "a length must be positive, not ", length);
  check(count > 0, "the number of sequences must be positive, not ", count);
  require_same_vocabulary(model, text);
  model.require_reach(length);
  check(text.size - length >= count, text.name, ": has ", text.size, " tokens, too few for ", count,
        " different sequences of ", length,
        "; use a longer text, fewer sequences or a smaller length");
}

std::vector<int32_t> EvenSequences::read(int64_t i) const {
  std::vector<int32_t> sequence(length_ + 1);
  text_.read(i * (text_.size - length_) / count_, sequence);
  return sequence;
}

}  // namespace farsight
