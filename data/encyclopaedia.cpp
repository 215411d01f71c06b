// Generating the embedded corpus: see encyclopaedia.h; its words are in encyclopaedia_words.h.
#include "data/encyclopaedia.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <random>
#include <string_view>

#include "data/encyclopaedia_words.h"

namespace farsight {
namespace {

constexpr int64_t kShortest = 8;                     // distance of mentions, in tokens
constexpr size_t kOctaves = 9, kNearbyOctaves = 4;   // up to 4096 and to 128
constexpr int64_t kLongest = kShortest << kOctaves;  // a key rests this long before its next name
constexpr double kForgotten = 0.12;                  // share of mentions that are a name's last
constexpr size_t kFewest = 8;                        // names that wait before any is forgotten

/// A class's names come up only every 15 tokens or so: one that is due within about as many is
/// mentioned rather than missed, which keeps the short distances as frequent as the long ones.
constexpr int64_t kEarly = 14;

/// Random numbers that are the same on every platform: the standard's distributions are not, nor
/// are logarithms and powers to the last bit.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  size_t below(size_t bound) { return static_cast<size_t>(engine_() % bound); }
  bool chance(double probability) { return uniform() < probability; }

  /// Log-uniform from `shortest` to `shortest` doubled `octaves` times.
  int64_t distance(int64_t shortest, size_t octaves) {
    const double octave = static_cast<double>(shortest << below(octaves));
    double factor;  // in [1, 2), accepted with probability 1 / factor
    do factor = 1 + uniform();
    while (uniform() * factor > 1);
    return static_cast<int64_t>(octave * factor);
  }

  /// Earlier items more often, as in natural text: the i-th with probability proportional to 1 / i.
  template <class Container>
  const auto& pick_zipf(const Container& items) {
    size_t index;
    do index = below(std::size(items));
    while (below(index + 1) != 0);
    return items[index];
  }

 private:
  std::mt19937_64 engine_;
};

/// The names of one class and when they are due to be mentioned again.
///
/// A key either waits as part of a name or rests. kFewest names of two tokens are more than fit
/// into kShortest tokens, so that whenever no key has rested long enough, some name can be
/// mentioned.
class Names {
 public:
  Names(const NameClass& words, double nearby) : words_(words), nearby_(nearby) {
    for (size_t key = 0; key < words.keys.size(); ++key) resting_.push_back({key, -kLongest});
  }

  struct Mention {
    std::string_view key, answer;
    int64_t distance;  // 0 at the first mention
    int choices;
  };

  /// A name to put at `position` (of its answer): one that is due, else a new one, else the one
  /// that is due soonest.
  Mention next(int64_t position, Dice& dice) {
    rest_unmentioned(position);
    const bool rested = !resting_.empty() && resting_.front().since + kLongest <= position;
    const auto old = rested ? closest_due(position) : soonest(position);
    Name name;
    int64_t distance = 0;
    if (old != waiting_.end()) {
      name = *old;
      distance = position - name.mentioned;
      waiting_.erase(old);
    } else {
      name.key = resting_.front().key;
      name.answer = dice.below(words_.answers.size());
      resting_.pop_front();
    }
    if (waiting_.size() >= kFewest && dice.chance(kForgotten)) {
      resting_.push_back({name.key, position});
    } else {
      name.mentioned = position;
      name.distance = dice.distance(kShortest, dice.chance(nearby_) ? kNearbyOctaves : kOctaves);
      waiting_.push_back(name);
    }
    return {words_.keys[name.key], words_.answers[name.answer], distance,
            static_cast<int>(words_.answers.size())};
  }

 private:
  struct Name {
    size_t key = 0, answer = 0;
    int64_t mentioned = 0, distance = 0;  // at the latest mention; from there to the next one
    int64_t due() const { return mentioned + distance; }
  };
  struct Resting {
    size_t key;
    int64_t since;
  };
  using Iterator = std::vector<Name>::iterator;

  /// Forgets the names that were passed over for too long.
  void rest_unmentioned(int64_t position) {
    std::erase_if(waiting_, [&](const Name& name) {
      if (position - name.mentioned <= kLongest) return false;
      resting_.push_front({name.key, name.mentioned});
      return true;
    });
  }

  /// Of the names that are due the one with the shortest distance, which a delay would change most.
  Iterator closest_due(int64_t position) {
    return best(position, [&](const Name& name) {
      return name.due() <= position + kEarly ? name.distance : INT64_MAX;
    });
  }

  Iterator soonest(int64_t position) {
    const auto due = closest_due(position);
    return due != waiting_.end() ? due
                                 : best(position, [](const Name& name) { return name.due(); });
  }

  /// The name that may be mentioned at `position` with the smallest score below INT64_MAX.
  template <class Score>
  Iterator best(int64_t position, Score score) {
    auto result = waiting_.end();
    int64_t smallest = INT64_MAX;
    for (auto name = waiting_.begin(); name != waiting_.end(); ++name) {
      if (position - name->mentioned >= kShortest && score(*name) < smallest) {
        smallest = score(*name);
        result = name;
      }
    }
    return result;
  }

  const NameClass& words_;
  double nearby_;
  std::vector<Name> waiting_;
  std::deque<Resting> resting_;  // longest first
};

class Writer {
 public:
  Writer(uint64_t seed, double nearby) : dice_(seed) {
    for (const NameClass& words : name_classes()) names_.emplace_back(words, nearby);
  }

  GeneratedText write(int64_t tokens) {
    while (position_ < tokens) add_article();
    return std::move(result_);
  }

 private:
  void add_article() {
    Topic topic = topics()[dice_.below(topics().size())];
    // Each article has its own favourites, so that reading more of it helps.
    const auto favourite = static_cast<std::ptrdiff_t>(dice_.below(topic.nouns.size()));
    std::rotate(topic.nouns.begin(), topic.nouns.begin() + favourite, topic.nouns.end());
    add_line([] {});
    add_line([&] { add_words(title(), topic); });
    add_line([] {});
    for (size_t paragraphs = 3 + dice_.below(6); paragraphs > 0; --paragraphs)
      add_line([&] {
        for (size_t left = 3 + dice_.below(5); left > 0; --left)
          add_words(dice_.pick_zipf(sentences()), topic);
      });
  }

  template <class AddWords>
  void add_line(AddWords add_words) {
    result_.text += ' ';
    add_words();
    result_.text += '\n';
    ++position_;
  }

  /// Adds a pattern's words; capitals stand for what varies.
  void add_words(const std::vector<std::string_view>& pattern, const Topic& topic) {
    for (const std::string_view word : pattern) {
      if (word == "PERSON")
        add_name(0);
      else if (word == "PLACE")
        add_name(1);
      else if (word == "THING")
        add_name(2);
      else if (word == "NOUN")
        add_word(dice_.pick_zipf(topic.nouns));
      else if (word == "PLURAL")
        add_word(std::string(dice_.pick_zipf(topic.nouns)) + "s");
      else if (word == "VERB")
        add_word(dice_.pick_zipf(topic.verbs));
      else if (word == "QUALITY")
        add_word(dice_.pick_zipf(qualities()));
      else if (word == "NUMBER")
        add_word(dice_.pick_zipf(numbers()));
      else
        add_word(word);
    }
  }

  void add_name(size_t kind) {
    const Names::Mention mention = names_[kind].next(position_ + 1, dice_);
    add_word(mention.key);
    if (mention.distance > 0)
      result_.marks.push_back({position_, mention.distance, mention.choices});
    add_word(mention.answer);
  }

  void add_word(std::string_view word) {
    result_.text.append(word).append(" ");
    ++position_;
  }

  Dice dice_;
  std::vector<Names> names_;
  GeneratedText result_;
  int64_t position_ = 0;
};

}  // namespace

GeneratedText generate_encyclopaedia(uint64_t seed, int64_t tokens, double nearby) {
  return Writer(seed, nearby).write(tokens);
}

}  // namespace farsight
