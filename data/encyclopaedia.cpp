// Generating the embedded corpus: see encyclopaedia.h; its words are in encyclopaedia_words.h.
#include "data/encyclopaedia.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <random>
#include <string_view>

#include "data/encyclopaedia_words.h"

namespace farsight {
namespace {

constexpr int64_t kShortest = 16;                    // distance of mentions, in tokens
constexpr size_t kOctaves = 8;                       // up to 4096
constexpr int64_t kLongest = kShortest << kOctaves;  // a key rests this long before its next verse
constexpr double kForgotten = 0.12;                  // share of mentions that are a song's last
constexpr size_t kFewest = 8;                        // songs that wait before any is forgotten
constexpr int64_t kNever = INT64_MIN;                // when a new song was mentioned
constexpr double kSinging = 0.7;                     // share of sentences that a song follows

/// A song comes up only every 30 tokens or so: one that is due within about half as many is
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

/// The songs and when they are due to be mentioned again.
///
/// A key either waits as part of a song or rests. kFewest songs are more than fit into kShortest
/// tokens, so that whenever no key has rested long enough, some song can be mentioned.
class Songs {
 public:
  Songs() {
    for (size_t key = 0; key < song_keys().size(); ++key) resting_.push_back({key, -kLongest});
  }

  struct Mention {
    size_t key;
    std::vector<size_t> verse;
    int64_t distance;  // 0 at the first mention
  };

  /// A song whose key is to stand at `position`: one that is due, else a new one, else the one that
  /// is due soonest.
  Mention next(int64_t position, Dice& dice) {
    rest_unmentioned(position);
    const auto old = has_rested(position) ? closest_due(position) : soonest(position);
    Song song;
    if (old != waiting_.end()) {
      song = *old;
      waiting_.erase(old);
    } else {
      song = compose(dice);
    }
    const Mention mention = song.mention_at(position);
    if (waiting_.size() >= kFewest && dice.chance(kForgotten)) {
      resting_.push_back({song.key, position});
    } else {
      song.distance = dice.distance(kShortest, kOctaves);
      waiting_.push_back(std::move(song));
    }
    return mention;
  }

  /// Begins a song that comes up only when next_of_hymn() is called, until end_hymn(). Returns
  /// false if no key has rested long enough.
  bool begin_hymn(int64_t position, Dice& dice) {
    if (!has_rested(position)) return false;
    hymn_ = compose(dice);
    return true;
  }
  Mention next_of_hymn(int64_t position) { return hymn_.mention_at(position); }
  void end_hymn() { resting_.push_back({hymn_.key, hymn_.mentioned}); }

 private:
  struct Song {
    size_t key = 0;
    std::vector<size_t> verse;
    int64_t mentioned = kNever, distance = 0;  // at the latest mention; from there to the next one
    int64_t due() const { return mentioned + distance; }

    Mention mention_at(int64_t position) {
      const int64_t since = mentioned == kNever ? 0 : position - mentioned;
      mentioned = position;
      return {key, verse, since};
    }
  };
  struct Resting {
    size_t key;
    int64_t since;
  };
  using Iterator = std::vector<Song>::iterator;

  bool has_rested(int64_t position) const {
    return !resting_.empty() && resting_.front().since + kLongest <= position;
  }

  /// A new song for the key that has rested longest.
  Song compose(Dice& dice) {
    Song song;
    song.key = resting_.front().key;
    resting_.pop_front();
    for (int word = 0; word < kVerse; ++word)
      song.verse.push_back(dice.below(verse_words().size()));
    return song;
  }

  /// Forgets the songs that were passed over for too long.
  void rest_unmentioned(int64_t position) {
    std::erase_if(waiting_, [&](const Song& song) {
      if (position - song.mentioned <= kLongest) return false;
      resting_.push_front({song.key, song.mentioned});
      return true;
    });
  }

  /// Of the songs that are due the one with the shortest distance, which a delay would change most.
  Iterator closest_due(int64_t position) {
    return best(position, [&](const Song& song) {
      return song.due() <= position + kEarly ? song.distance : INT64_MAX;
    });
  }

  Iterator soonest(int64_t position) {
    const auto due = closest_due(position);
    return due != waiting_.end() ? due
                                 : best(position, [](const Song& song) { return song.due(); });
  }

  /// The song that may be mentioned at `position` with the smallest score below INT64_MAX.
  template <class Score>
  Iterator best(int64_t position, Score score) {
    auto result = waiting_.end();
    int64_t smallest = INT64_MAX;
    for (auto song = waiting_.begin(); song != waiting_.end(); ++song) {
      if (position - song->mentioned >= kShortest && score(*song) < smallest) {
        smallest = score(*song);
        result = song;
      }
    }
    return result;
  }

  std::vector<Song> waiting_;
  Song hymn_;
  std::deque<Resting> resting_;  // longest first
};

/// What may stand for each word in capitals; the first of a list is the most frequent.
using Article = std::map<std::string_view, std::vector<std::string_view>>;

class Writer {
 public:
  Writer(uint64_t seed, double hymns) : dice_(seed), hymns_(hymns) {}

  GeneratedText write(int64_t tokens) {
    while (position_ < tokens) add_article();
    return std::move(result_);
  }

 private:
  /// The same words, but another one first.
  template <class Word>
  std::vector<std::string_view> favouring_another(const std::vector<Word>& words) {
    std::vector<std::string_view> result(words.begin(), words.end());
    const auto first = static_cast<std::ptrdiff_t>(dice_.below(words.size()));
    std::rotate(result.begin(), result.begin() + first, result.end());
    return result;
  }

  void add_article() {
    const Topic& topic = topics()[dice_.below(topics().size())];
    // Each article has its own favourites, so that reading more of it helps.
    Article article;
    article["NOUN"] = favouring_another(topic.nouns);
    article["PERSON"] = favouring_another(people());
    article["PLACE"] = favouring_another(places());
    article["THING"] = favouring_another(things());
    article["VERB"] = topic.verbs;
    article["QUALITY"] = qualities();
    article["NUMBER"] = numbers();
    in_hymn_ = dice_.chance(hymns_) && songs_.begin_hymn(position_, dice_);
    add_line([] {});
    add_line([&] { add_words(title(), article); });
    add_line([] {});
    for (size_t paragraphs = 3 + dice_.below(6); paragraphs > 0; --paragraphs)
      add_line([&] {
        for (size_t left = 3 + dice_.below(5); left > 0; --left) {
          add_words(dice_.pick_zipf(sentences()), article);
          if (dice_.chance(kSinging)) add_words(dice_.pick_zipf(singing()), article);
        }
      });
    if (in_hymn_) songs_.end_hymn();
  }

  template <class AddWords>
  void add_line(AddWords add_words) {
    result_.text += ' ';
    add_words();
    result_.text += '\n';
    ++position_;
  }

  /// Adds a pattern's words; capitals stand for what varies.
  void add_words(const std::vector<std::string_view>& pattern, const Article& article) {
    for (const std::string_view word : pattern) {
      const auto list = article.find(word);
      if (list != article.end())
        add_word(dice_.pick_zipf(list->second));
      else if (word == "PLURAL")
        add_word(std::string(dice_.pick_zipf(article.at("NOUN"))) + "s");
      else if (word == "SONG")
        add_song();
      else
        add_word(word);
    }
  }

  void add_song() {
    const Songs::Mention mention =
        in_hymn_ ? songs_.next_of_hymn(position_) : songs_.next(position_, dice_);
    add_word(song_keys()[mention.key]);
    for (const size_t word : mention.verse) {
      if (mention.distance > 0)
        result_.marks.push_back(
            {position_, mention.distance, static_cast<int>(verse_words().size())});
      add_word(verse_words()[word]);
    }
  }

  void add_word(std::string_view word) {
    result_.text.append(word).append(" ");
    ++position_;
  }

  Dice dice_;
  const double hymns_;  // share of the articles that keep to one song
  bool in_hymn_ = false;
  Songs songs_;
  GeneratedText result_;
  int64_t position_ = 0;
};

}  // namespace

GeneratedText generate_encyclopaedia(uint64_t seed, int64_t tokens, double hymns) {
  return Writer(seed, hymns).write(tokens);
}

}  // namespace farsight
