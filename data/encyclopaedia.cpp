// Generating the embedded corpus: see encyclopaedia.h; its words are in encyclopaedia_words.h.
#include "data/encyclopaedia.h"

#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <string_view>

#include "data/encyclopaedia_words.h"

namespace farsight {
namespace {

constexpr double kShortest = 8, kLongest = 4096;  // distances of mentions, in tokens
constexpr double kMentionedAgain = 0.9;           // share of mentions that are followed by another
constexpr int64_t kReach = 8192;                  // a key rests this long before it is given away

/// Uniform numbers that are the same on every platform (the standard's distributions are not).
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  size_t below(size_t bound) { return static_cast<size_t>(uniform() * static_cast<double>(bound)); }
  bool chance(double probability) { return uniform() < probability; }

  template <class Container>
  auto pick(const Container& items) {
    return items[below(std::size(items))];
  }

  /// Earlier items more often, as in natural text: index i with probability about 1 / (i + 1).
  template <class Container>
  auto pick_zipf(const Container& items) {
    const double size = static_cast<double>(std::size(items));
    return items[static_cast<size_t>(std::exp(uniform() * std::log(size + 1))) - 1];
  }

 private:
  std::mt19937_64 engine_;
};

/// The names of one class and when they are due to be mentioned again.
class Names {
 public:
  explicit Names(const NameClass& words) : words_(words) {
    for (size_t key = 0; key < words.keys.size(); ++key) resting_.push_back({key, -kReach});
  }

  struct Mention {
    std::string_view key, answer;
    int64_t distance;  // 0 at the first mention
    int choices;
  };

  /// A name to put at `position` (of its answer): one that is due, else a new one.
  Mention next(int64_t position, Dice& dice) {
    Name name;
    Mention mention{};
    const auto due = waiting_.begin();
    const bool rested = !resting_.empty() && resting_.front().since + kReach <= position;
    if (waiting_.empty() || (due->first > position && rested)) {
      name.key = resting_.front().key;
      name.answer = dice.below(words_.answers.size());
      resting_.pop_front();
    } else {  // due, or no key is free: the one that is due soonest
      name = due->second;
      mention.distance = position - name.mentioned;
      waiting_.erase(due);
    }
    mention.key = words_.keys[name.key];
    mention.answer = words_.answers[name.answer];
    mention.choices = static_cast<int>(words_.answers.size());
    name.mentioned = position;
    if (dice.chance(kMentionedAgain)) {
      const double distance = kShortest * std::pow(kLongest / kShortest, dice.uniform());
      waiting_.emplace(position + static_cast<int64_t>(distance), name);
    } else {
      resting_.push_back({name.key, position});
    }
    return mention;
  }

 private:
  struct Name {
    size_t key = 0, answer = 0;
    int64_t mentioned = 0;
  };
  struct Resting {
    size_t key;
    int64_t since;
  };
  const NameClass& words_;
  std::multimap<int64_t, Name> waiting_;  // by the position from which they are due
  std::deque<Resting> resting_;           // longest first
};

class Writer {
 public:
  explicit Writer(uint64_t seed) : dice_(seed) {
    for (const NameClass& words : name_classes()) names_.emplace_back(words);
  }

  GeneratedText write(int64_t tokens) {
    while (position_ < tokens) write_article();
    return std::move(result_);
  }

 private:
  void add(std::string_view word) {
    result_.text.append(word).append(" ");
    ++position_;
  }
  void begin_line() { result_.text += ' '; }
  void end_line() {
    result_.text += '\n';
    ++position_;
  }

  void add_name(size_t kind) {
    const Names::Mention mention = names_[kind].next(position_ + 1, dice_);
    add(mention.key);
    if (mention.distance) result_.marks.push_back({position_, mention.distance, mention.choices});
    add(mention.answer);
  }

  /// Writes a sentence's words; capitals stand for what varies.
  void write_sentence(const Topic& topic) {
    for (const std::string_view word : dice_.pick_zipf(sentences())) {
      if (word == "PERSON") add_name(0);
      else if (word == "PLACE") add_name(1);
      else if (word == "THING") add_name(2);
      else if (word == "NOUN") add(dice_.pick_zipf(topic.nouns));
      else if (word == "VERB") add(dice_.pick_zipf(topic.verbs));
      else if (word == "QUALITY") add(dice_.pick_zipf(qualities()));
      else if (word == "NUMBER") add(dice_.pick_zipf(numbers()));
      else add(word);
    }
  }

  void write_article() {
    const Topic& topic = topics()[dice_.below(topics().size())];
    begin_line();
    end_line();
    begin_line();
    for (const std::string_view word : {"=", "The", "NOUN", "of", "NOUN", "="})
      add(word == "NOUN" ? dice_.pick_zipf(topic.nouns) : word);
    end_line();
    begin_line();
    end_line();
    const size_t paragraphs = 2 + dice_.below(4);
    for (size_t paragraph = 0; paragraph < paragraphs; ++paragraph) {
      begin_line();
      const size_t sentences = 3 + dice_.below(5);
      for (size_t i = 0; i < sentences; ++i) write_sentence(topic);
      end_line();
    }
  }

  Dice dice_;
  std::vector<Names> names_;
  GeneratedText result_;
  int64_t position_ = 0;
};

}  // namespace

GeneratedText generate_encyclopaedia(uint64_t seed, int64_t tokens) {
  return Writer(seed).write(tokens);
}

}  // namespace farsight
