// The embedded corpus: a generated encyclopaedia in WikiText's format, so that nothing needs to be
// downloaded, and so that recall beyond the training length can be measured exactly.
//
// Its articles quote songs: "They sang Selara golden seed rope quiet stone fed moon poor shore grew
// ." The first word is the song's key; the verse after it is drawn uniformly, word by word, when
// the song first appears, and is the same at every later mention. A reader who has seen the song
// before can know every word of its verse; one who has not can do no better than guess. How far
// back the latest mention lies is drawn log-uniformly from 16 to 4096 tokens. A key is given to
// another song only when its last mention is out of reach, so that nothing is ambiguous.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace farsight {

/// Words of a verse.
inline constexpr int kVerse = 10;

/// A word of a repeated verse.
struct Mark {
  int64_t position;  // of the word, in word tokens: space-separated words and ends of line
  int64_t distance;  // tokens since the same word of the latest mention
  int choices;       // how many words it was drawn from
};

struct GeneratedText {
  std::string text;
  std::vector<Mark> marks;  // in order of position
};

/// The seeds and sizes of the corpus that `farsight prepare --embedded` makes.
inline constexpr uint64_t kTrainSeed = 1, kValidSeed = 2;
inline constexpr int64_t kTrainTokens = 3'000'000, kValidTokens = 120'000;
inline constexpr double kTrainHymns = 0.8, kValidHymns = 0;

/// About `tokens` word tokens, always the same for a seed. The share `hymns` of the articles keeps
/// to one song each, sung again and again, from which a model learns to remember far sooner than
/// from songs that rarely meet inside its training length.
GeneratedText generate_encyclopaedia(uint64_t seed, int64_t tokens, double hymns = 0);

}  // namespace farsight
