// Byte-pair encoding: GPT-2's cut of a text, known ids, learned merges against a slow and plain
// learner, and GPT-2 files that do not fit.
#include <map>

#include "data/bpe_tokenizer.h"
#include "data/pretokenize.h"
#include "tests/catch.h"
#include "tests/tokenizer_samples.h"

using namespace farsight;
using Catch::Matchers::Contains;

namespace {

std::vector<std::string> pretokens(std::string_view text) {
  std::vector<std::string> pieces;
  for_each_pretoken(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

/// Byte-pair merges the slow way: count every pair of every piece anew for each merge.
std::vector<std::string> plain_merges(std::string_view text, size_t wanted) {
  std::vector<std::vector<int32_t>> pieces;
  for (const std::string& piece : pretokens(text)) {
    std::vector<int32_t> ids;
    for (const unsigned char byte : piece) ids.push_back(byte);
    pieces.push_back(ids);
  }
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  while (tokens.size() < 256 + wanted) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& ids : pieces)
      for (size_t i = 0; i + 1 < ids.size(); ++i) ++counts[{ids[i], ids[i + 1]}];
    std::pair<int32_t, int32_t> best;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {  // in order of the ids
      if (count > most) most = count, best = pair;
    }
    if (most < 2) break;
    const auto merged = static_cast<int32_t>(tokens.size());
    tokens.push_back(tokens[best.first] + tokens[best.second]);
    for (auto& ids : pieces) {
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        if (ids[i] != best.first || ids[i + 1] != best.second) continue;
        ids[i] = merged;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return tokens;
}

}  // namespace

TEST_CASE("GPT-2's pattern cuts words, numbers, signs and white space") {
  using List = std::vector<std::string>;
  CHECK(pretokens("Hello world's 3rd, they'll'LL") ==
        List{"Hello", " world", "'s", " 3", "rd", ",", " they", "'ll", "'", "LL"});
  CHECK(pretokens("a   b") == List{"a", "  ", " b"});
  CHECK(pretokens("a \n b\n\nc  ") == List{"a", " \n", " b", "\n", "\n", "c", "  "});
  CHECK(pretokens("''s 's") == List{"''", "s", " '", "s"});
  // U+00A0 and U+3000 are white space but join nothing; U+200B is neither space nor letter.
  CHECK(pretokens("a\xC2\xA0"
                  "b") == List{"a", "\xC2\xA0", "b"});
  CHECK(pretokens("\xE3\x80\x80 x\xE2\x80\x8B") == List{"\xE3\x80\x80", " x", "\xE2\x80\x8B"});
  // Letters with accents, Chinese, Roman numeral eight (a number), an unprintable separator.
  CHECK(pretokens("\xC3\xA9t\xC3\xA9 \xE4\xB8\xAD\xE2\x85\xA7\x1C") ==
        List{"\xC3\xA9t\xC3\xA9", " \xE4\xB8\xAD", "\xE2\x85\xA7", "\x1C"});
  // Bytes that are no UTF-8 are signs: a truncated character, a lone continuation, a surrogate.
  CHECK(pretokens("x\xE4\xB8 \xAD!y\xED\xA0\x80") ==
        List{"x", "\xE4\xB8", " \xAD!", "y", "\xED\xA0\x80"});
}

TEST_CASE("GPT-2's files give GPT-2's ids") {
  const TemporaryFolder folder;
  const auto gpt2 = small_gpt2(folder);
  CHECK(gpt2->vocabulary_size() == 264);
  // The ids of single bytes are those of the real vocabulary: '!' 0, 'A' 32, space 220, newline
  // 198.
  CHECK(encode(*gpt2, "!A\n b") == std::vector<int32_t>{0, 32, 198, 220, 65});
  CHECK(encode(*gpt2, "\xFF\x7F") == std::vector<int32_t>{187, 221});
  // Rank decides, not place: "ll" before "He", then "llo", then both; and "he" makes "hell"
  // possible before "llo".
  CHECK(encode(*gpt2, "Hello") == std::vector<int32_t>{263});
  CHECK(encode(*gpt2, " world") == std::vector<int32_t>{259, 81, 75, 67});
  CHECK(encode(*gpt2, "hello") == std::vector<int32_t>{261, 78});
}

TEST_CASE("learned merges are those of a plain learner") {
  const std::string text = random_text(3000, 1);
  const auto learned = train_bpe(text, 256 + 60);
  const auto expected = plain_merges(text, 60);
  REQUIRE(learned->vocabulary_size() == 316);
  for (int32_t id = 0; id < 316; ++id)
    CHECK(learned->decode(std::vector<int32_t>{id}) == expected[id]);
  // "abab" three times: "ab" six times, then "abab" three times, then nothing occurs twice.
  CHECK(train_bpe("abab abab abab", 1000)->vocabulary_size() == 259);
  CHECK_THROWS_WITH(train_bpe("text", 255), Contains("from 256"));
}

TEST_CASE("a long piece without a break is no trap") {
  const auto bpe = train_bpe(std::string(64, 'a') + " " + std::string(64, 'a'), 262);
  const std::string text(300'000, 'a');
  const auto ids = encode(*bpe, text);
  CHECK(ids.size() < text.size() / 16);
  CHECK(bpe->decode(ids) == text);
  // Nor for learning: a second or so, and hours if each occurrence of a pair cost the whole piece.
  std::string letters;
  for (unsigned i = 0, state = 1; i < 300'000; ++i) {
    state = state * 1103515245 + 12345;
    letters += "ACGT"[state >> 30];
  }
  CHECK(train_bpe(letters, 300)->vocabulary_size() == 300);
}

TEST_CASE("GPT-2 files that do not fit say which and why") {
  const TemporaryFolder folder;
  const auto merges = folder.write("vocab.bpe", "#version: 0.2\n");
  const auto refused = [&](const std::filesystem::path& encoder, const std::filesystem::path& rules,
                           const std::string& why) {
    CHECK_THROWS_WITH(BpeTokenizer::from_gpt2(encoder, rules), Contains(why));
  };
  refused(folder.path() / "none.json", merges, "none.json: not found");
  refused(folder.write("e.json", "{\"a\": 1}"), merges, "e.json: the ids are not 0 to 0");
  refused(folder.write("e.json", "{\"a\": 0, \"b\": 0}"), merges, "e.json: the ids are not");
  refused(folder.write("e.json", "{\"a\": \"b\"}"), merges, "e.json");
  refused(folder.write("e.json", "{\"a b\": 0}"), merges, "alphabet");
  refused(folder.write("e.json", "{\"a\": 0}"), folder.path() / "none.bpe", "none.bpe: not found");
  refused(folder.write("e.json", "{\"a\": 0}"), folder.write("bad.bpe", "aa\n"),
          "bad.bpe: 'aa' is no merge of two tokens");
  refused(folder.write("e.json", nlohmann::json{{std::string(5000, ' '), 0}}.dump()), merges,
          "     …' is not in GPT-2's alphabet");
  // A list of merges that was cut short.
  small_gpt2(folder);
  refused(folder.path() / "encoder.json",
          folder.write("vocab.bpe", "#version: 0.2\nl l\nH e\nhe ll\n"),
          "no merge makes the token");
}
