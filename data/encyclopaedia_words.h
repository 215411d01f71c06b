// The words of the embedded corpus: fewer than 1,000 in all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace farsight {

/// Names of two words: any key with any answer.
struct NameClass {
  std::vector<std::string> keys;
  std::vector<std::string_view> answers;
};

/// People, places and things.
const std::vector<NameClass>& name_classes();

struct Topic {
  std::vector<std::string_view> nouns, verbs;  // the frequent ones first
};

const std::vector<Topic>& topics();

/// The title of an article, word by word. PERSON, PLACE, THING, NOUN, PLURAL, VERB, QUALITY and
/// NUMBER stand for what varies.
const std::vector<std::string_view>& title();

/// Sentences, likewise, the frequent ones first.
const std::vector<std::vector<std::string_view>>& sentences();

const std::vector<std::string_view>& qualities();
const std::vector<std::string_view>& numbers();

}  // namespace farsight
