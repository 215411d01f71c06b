// The embedded corpus, read back from its text alone.
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "data/encyclopaedia.h"
#include "data/encyclopaedia_words.h"
#include "tests/catch.h"

namespace farsight {
namespace {

/// Words, and "\n" for each end of line.
std::vector<std::string> tokens_of(const std::string& text) {
  std::vector<std::string> tokens;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\n') {
      word += c;
      continue;
    }
    if (!word.empty()) tokens.push_back(word);
    word.clear();
    if (c == '\n') tokens.push_back("\n");
  }
  return tokens;
}

bool is_key(const std::string& token) {
  static const std::set<std::string> keys(song_keys().begin(), song_keys().end());
  return keys.contains(token);
}

/// Pearson's statistic of counts that should be equal.
double chi_square(const std::vector<int>& counts) {
  double total = 0, result = 0;
  for (const int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  for (const int count : counts) result += (count - expected) * (count - expected) / expected;
  return result;
}

const GeneratedText& valid_text() {
  static const GeneratedText text = generate_encyclopaedia(kValidSeed, kValidTokens);
  return text;
}

TEST_CASE("the embedded corpus is the same everywhere") {
  const std::string text = generate_encyclopaedia(7, 20000, 0.8).text;
  CHECK(XXH64(text.data(), text.size(), 0) == 0x2a99127675224124u);
  CHECK(text != generate_encyclopaedia(8, 20000, 0.8).text);
}

TEST_CASE("the embedded corpus is laid out as WikiText is") {
  const std::vector<std::string> tokens = tokens_of(valid_text().text);
  CHECK(std::set(tokens.begin(), tokens.end()).size() < 1000);
  CHECK(static_cast<int64_t>(tokens.size()) >= kValidTokens);
  CHECK(static_cast<int64_t>(tokens.size()) < kValidTokens + 1000);
  const std::string& text = valid_text().text;
  size_t titles = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    const std::string line = text.substr(begin, end - begin);
    const bool title = line.starts_with(" = ") && line.ends_with(" = ");
    titles += title;
    if (!title && line != " " && !(line.starts_with(" ") && line.ends_with(" . "))) FAIL(line);
  }
  CHECK(titles > 100);
}

TEST_CASE("marks of the embedded corpus point at the latest mention of the song") {
  const double hymns = GENERATE(0., 0.8);
  const GeneratedText generated = generate_encyclopaedia(kTrainSeed, 200000, hymns);
  const std::vector<std::string> tokens = tokens_of(generated.text);
  std::map<std::string, int64_t> latest;  // position of the key
  size_t next = 0, wrong = 0, ambiguous = 0;
  for (int64_t at = 0; at < static_cast<int64_t>(tokens.size()); ++at) {
    if (!is_key(tokens[at])) continue;
    const auto [known, is_first] = latest.try_emplace(tokens[at], at);
    const int64_t distance = at - known->second;
    known->second = at;
    const bool marked = next < generated.marks.size() && generated.marks[next].position == at + 1;
    // An unmarked one is a new song: the key's former one is out of reach.
    if (!marked) ambiguous += !is_first && distance < 4096;
    for (int word = 1; marked && word <= kVerse; ++word) {
      const Mark& mark = generated.marks.at(next++);
      wrong += is_first || tokens[at + word] != tokens[at + word - distance] ||
               mark.position != at + word || mark.distance != distance || distance < 16 ||
               distance > 4096 || mark.choices != static_cast<int>(verse_words().size());
    }
  }
  CHECK(next == generated.marks.size());
  CHECK(wrong == 0);
  CHECK(ambiguous == 0);
  CHECK(generated.marks.size() > tokens.size() / 6);
}

TEST_CASE("distances of the embedded corpus are log-uniform") {
  std::vector<double> octaves(8);
  for (const Mark& mark : valid_text().marks)
    ++octaves.at(std::min<size_t>(std::log2(static_cast<double>(mark.distance) / 16), 7));
  for (const double count : octaves) {
    const double share = count / static_cast<double>(valid_text().marks.size());
    CHECK(share > 0.1);
    CHECK(share < 0.15);
  }
  double near = 0;
  const GeneratedText hymns = generate_encyclopaedia(kValidSeed, kValidTokens, 0.8);
  for (const Mark& mark : hymns.marks) near += mark.distance < 128;
  CHECK(near / static_cast<double>(hymns.marks.size()) > 0.85);
}

TEST_CASE("verses of the embedded corpus are uniform, and new ones owe nothing to old ones") {
  const GeneratedText generated = generate_encyclopaedia(kTrainSeed, 1000000);
  const std::vector<std::string> tokens = tokens_of(generated.text);
  std::set<int64_t> repeated;
  for (const Mark& mark : generated.marks) repeated.insert(mark.position);
  const size_t size = verse_words().size();
  std::map<std::string, std::vector<size_t>> latest;
  std::vector<int> words(size), from_before(size), from_old(size);
  for (size_t at = 0; at + kVerse < tokens.size(); ++at) {
    if (!is_key(tokens[at]) || repeated.contains(static_cast<int64_t>(at) + 1)) continue;
    std::vector<size_t> verse;
    for (int i = 1; i <= kVerse; ++i) {
      const auto word = std::find(verse_words().begin(), verse_words().end(), tokens[at + i]);
      REQUIRE(word != verse_words().end());
      verse.push_back(static_cast<size_t>(word - verse_words().begin()));
    }
    for (size_t i = 0; i < verse.size(); ++i) {
      ++words[verse[i]];
      if (i > 0) ++from_before[(verse[i] + size - verse[i - 1]) % size];
      if (latest.contains(tokens[at]))
        ++from_old[(verse[i] + size - latest.at(tokens[at])[i]) % size];
    }
    latest[tokens[at]] = verse;
  }
  // The statistic's mean is size - 1 and its variance twice that; five deviations above it.
  const double limit = size - 1 + 5 * std::sqrt(2.0 * (size - 1));
  CHECK(chi_square(words) < limit);
  CHECK(chi_square(from_before) < limit);
  CHECK(chi_square(from_old) < limit);
}

}  // namespace
}  // namespace farsight
