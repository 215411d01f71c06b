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

std::set<std::string> all_keys() {
  std::set<std::string> keys;
  for (const NameClass& words : name_classes()) keys.insert(words.keys.begin(), words.keys.end());
  return keys;
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
  const std::string text = generate_encyclopaedia(7, 20000, 0.5).text;
  CHECK(XXH64(text.data(), text.size(), 0) == 0x5e5b18308f6bff30u);
  CHECK(text != generate_encyclopaedia(8, 20000, 0.5).text);
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

TEST_CASE("marks of the embedded corpus point at the latest mention of the name") {
  const double nearby = GENERATE(0., 0.5);
  const GeneratedText generated = generate_encyclopaedia(kTrainSeed, 200000, nearby);
  const std::vector<std::string> tokens = tokens_of(generated.text);
  const std::set<std::string> keys = all_keys();
  std::map<std::string, int64_t> latest;  // position of the key's answer
  size_t next = 0, wrong = 0, ambiguous = 0;
  for (int64_t at = 1; at < static_cast<int64_t>(tokens.size()); ++at) {
    const std::string& key = tokens[at - 1];
    if (!keys.contains(key)) continue;
    const auto [known, is_first] = latest.try_emplace(key, at);
    const int64_t distance = at - known->second;
    known->second = at;
    const bool same = !is_first && tokens[at] == tokens[at - distance];
    if (next < generated.marks.size() && generated.marks[next].position == at) {
      const Mark& mark = generated.marks[next++];
      wrong += !same || mark.distance != distance || mark.choices != 16 || distance < 8 ||
               distance > 4096;
    } else {
      // A new name: the key's former one is out of reach, whichever its answer was.
      ambiguous += !is_first && distance < 4096;
    }
  }
  CHECK(next == generated.marks.size());
  CHECK(wrong == 0);
  CHECK(ambiguous == 0);
  CHECK(generated.marks.size() > tokens.size() / 8);
}

TEST_CASE("distances of the embedded corpus are log-uniform") {
  std::vector<double> octaves(9);
  for (const Mark& mark : valid_text().marks)
    ++octaves.at(std::min<size_t>(std::log2(static_cast<double>(mark.distance) / 8), 8));
  for (const double count : octaves) {
    const double share = count / static_cast<double>(valid_text().marks.size());
    CHECK(share > 0.09);
    CHECK(share < 0.13);
  }
  double nearby = 0;
  const GeneratedText dense = generate_encyclopaedia(kValidSeed, kValidTokens, 0.5);
  for (const Mark& mark : dense.marks) nearby += mark.distance < 128;
  CHECK(nearby / static_cast<double>(dense.marks.size()) > 0.62);
}

TEST_CASE("answers of the embedded corpus are uniform, and new ones owe nothing to old ones") {
  const GeneratedText generated = generate_encyclopaedia(kTrainSeed, 500000);
  const std::vector<std::string> tokens = tokens_of(generated.text);
  std::set<int64_t> repeated;
  for (const Mark& mark : generated.marks) repeated.insert(mark.position);
  for (const NameClass& words : name_classes()) {
    const std::set<std::string> keys(words.keys.begin(), words.keys.end());
    std::map<std::string, size_t> latest;
    std::vector<int> answers(words.answers.size()), steps(words.answers.size());
    for (size_t at = 1; at < tokens.size(); ++at) {
      const std::string& key = tokens[at - 1];
      if (!keys.contains(key) || repeated.contains(static_cast<int64_t>(at))) continue;
      const auto answer = std::find(words.answers.begin(), words.answers.end(), tokens[at]);
      REQUIRE(answer != words.answers.end());
      const auto index = static_cast<size_t>(answer - words.answers.begin());
      ++answers[index];
      const auto [old, is_first] = latest.try_emplace(key, index);
      if (!is_first) ++steps[(index + words.answers.size() - old->second) % words.answers.size()];
      old->second = index;
    }
    // 15 degrees of freedom: above 40 once in two thousand.
    CHECK(chi_square(answers) < 40);
    CHECK(chi_square(steps) < 40);
  }
}

}  // namespace
}  // namespace farsight
