// The embedded corpus: a generated encyclopaedia in WikiText's format, so that nothing needs to be
// downloaded, and so that recall beyond the training length can be measured exactly.
//
// Its articles mention invented people, places and things by a name of two words, such as
// "Brannor Keld". The first word is the key, the second the answer: drawn uniformly from its class
// when the name first appears, and the same at every later mention. A reader who has seen the name
// before can know the answer; one who has not can do no better than the class's frequencies. How
// far back the latest mention lies is drawn log-uniformly from 8 to 4096 tokens. A key is given to
// somebody else only when its last mention is out of reach, so that nothing is ambiguous.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace farsight {

/// The answer of a repeated name.
struct Mark {
  int64_t position;  // of the answer, in word tokens: space-separated words and ends of line
  int64_t distance;  // tokens since the latest mention's answer
  int choices;       // size of the class
};

struct GeneratedText {
  std::string text;
  std::vector<Mark> marks;  // in order of position
};

/// The seeds and sizes of the corpus that `farsight prepare --embedded` makes.
inline constexpr uint64_t kTrainSeed = 1, kValidSeed = 2;
inline constexpr int64_t kTrainTokens = 3'000'000, kValidTokens = 120'000;
inline constexpr double kTrainNearby = 0.5, kValidNearby = 0;

/// About `tokens` word tokens, always the same for a seed. Of the distances the share `nearby` is
/// drawn from 8 to 128 tokens instead: more to learn from for a model with short sequences.
GeneratedText generate_encyclopaedia(uint64_t seed, int64_t tokens, double nearby = 0);

}  // namespace farsight
