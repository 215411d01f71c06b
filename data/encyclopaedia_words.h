// The words of the embedded corpus: fewer than 1,000 in all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace farsight {

const std::vector<std::string>& people();
const std::vector<std::string>& places();
const std::vector<std::string_view>& things();

/// Names of songs, which mean nothing else.
const std::vector<std::string>& song_keys();

/// The words of verses: all nouns, verbs and qualities, each once.
const std::vector<std::string_view>& verse_words();

struct Topic {
  std::vector<std::string_view> nouns, verbs;  // the frequent ones first
};

const std::vector<Topic>& topics();

/// The title of an article, word by word. PERSON, PLACE, THING, NOUN, PLURAL, VERB, QUALITY and
/// NUMBER stand for what varies.
const std::vector<std::string_view>& title();

/// Sentences, likewise, the frequent ones first.
const std::vector<std::vector<std::string_view>>& sentences();

/// Sentences that quote a song, likewise; SONG stands for its key and verse.
const std::vector<std::vector<std::string_view>>& singing();

const std::vector<std::string_view>& qualities();
const std::vector<std::string_view>& numbers();

}  // namespace farsight
