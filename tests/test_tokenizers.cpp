// Tokenizers: words and their vocabularies, exact round trips, chunks, saving and loading.
#include <algorithm>

#include "data/bpe_tokenizer.h"
#include "data/word_tokenizer.h"
#include "tests/catch.h"
#include "tests/tokenizer_samples.h"

using namespace farsight;
using Catch::Matchers::Contains;

namespace {

std::vector<int32_t> encode_in_chunks(const Tokenizer& tokenizer, std::string_view text,
                                      size_t limit) {
  std::vector<int32_t> ids;
  while (!text.empty()) {
    const size_t cut = safe_cut(text, limit);
    tokenizer.encode(text.substr(0, cut), ids);
    text.remove_prefix(cut);
  }
  return ids;
}

}  // namespace

TEST_CASE("byte-level tokenizers give any bytes back") {
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  tokenizers.push_back(make_byte_tokenizer());
  tokenizers.push_back(small_gpt2(folder));
  tokenizers.push_back(train_bpe(random_text(2000, 2), 300));
  std::string bytes;
  std::mt19937 random(3);
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(random());
  for (const auto& tokenizer : tokenizers) {
    INFO(tokenizer->name());
    CHECK(tokenizer->decode(encode(*tokenizer, bytes)) == bytes);
    CHECK(tokenizer->decode(encode(*tokenizer, random_text(5000, 4))) == random_text(5000, 4));
    CHECK(encode(*tokenizer, "").empty());
    const auto last = static_cast<int32_t>(tokenizer->vocabulary_size());
    CHECK_THROWS_WITH(tokenizer->decode(std::vector<int32_t>{0, last}),
                      Contains("token id " + std::to_string(last) + " is outside"));
    CHECK_THROWS_WITH(tokenizer->decode(std::vector<int32_t>{-1}), Contains("token id -1"));
  }
}

TEST_CASE("a text in chunks has the ids of the whole") {
  const std::string text = random_text(4000, 5);
  const auto bpe = train_bpe(text, 320);
  const auto whole = encode(*bpe, text);
  for (const size_t limit : {0, 1, 7, 64, 1000})
    CHECK(encode_in_chunks(*bpe, text, limit) == whole);
  // It does come in chunks, also where words are not ASCII, and none of them is long without need.
  CHECK(safe_cut("\xE4\xB8\xAD \xE4\xB8\xAD", 5) == 3);
  CHECK(safe_cut("\xC2\xA0 b c", 3) == 4);  // U+00A0 and the space after it stay together
  CHECK(safe_cut("a\xA0 b", 3) == 2);       // a lone byte A0 is no white space
  CHECK(safe_cut("abc\n\ndef", 4) == 3);    // never inside a run of white space
  CHECK(safe_cut("unbreakable x", 4) == 11);
  CHECK(safe_cut("unbreakable", 4) == 11);
}

TEST_CASE("word tokens are what stands between white space, and line ends") {
  const auto words = WordTokenizer::from_text("b a b\nc a b\n", 2, 0);
  CHECK(words->vocabulary_size() == 4);  // <eos>, <unk>, b, a: c occurs once
  CHECK(encode(*words, " b a\t c \r\n\na") == std::vector<int32_t>{2, 3, 1, 0, 0, 3});
  CHECK(words->unknown() == 1);
  CHECK(words->decode(encode(*words, "b  a \n\nc")) == "b a\n\n<unk>");
  // Most frequent first, equally frequent ones by their bytes; a limit counts <eos> and <unk>.
  CHECK(WordTokenizer::from_text("z y y x", 1, 4)->to_json().at("words") ==
        nlohmann::json{"<eos>", "<unk>", "y", "x"});
  CHECK_THROWS_WITH(WordTokenizer::from_text("a", 0, 0), Contains("--min-count"));
  CHECK_THROWS_WITH(WordTokenizer::from_text("a", 1, 2), Contains("--vocab-size"));
  CHECK_THROWS_AS(WordTokenizer::from_text("a \xFF", 1, 0), InvalidText);
  try {
    encode(*words, "b \xC3\xA9 \xE4\xB8 a");
    FAIL("invalid UTF-8 was accepted");
  } catch (const InvalidText& error) {
    CHECK(error.offset == 5);
  }
}

TEST_CASE("a list of words is a vocabulary") {
  const TemporaryFolder folder;
  const auto words = WordTokenizer::from_list(
      folder.write("dict.txt", "the 12\r\n<unk> 3\n\nof\nmadeupword0000 0\nlast 1"));
  CHECK(words->to_json().at("words") == nlohmann::json{"<eos>", "the", "<unk>", "of", "last"});
  const auto refused = [&](const std::string& text, const std::string& why) {
    const auto path = folder.write("bad.txt", text);
    CHECK_THROWS_WITH(WordTokenizer::from_list(path), Contains("bad.txt: " + why));
  };
  refused("the 12\nof many\n", "line 2: expected a word, or a word and its count");
  refused("the 12 3\n", "line 1");
  refused("the -1\n", "line 1");
  refused("the\nof\nthe\n", "the word 'the' stands twice");
  refused("ok\n\xFF\n", "byte 3: not valid UTF-8");
  refused("", "lists no words");
  CHECK_THROWS_WITH(WordTokenizer::from_list(folder.path() / "none.txt"), Contains("none.txt"));
  CHECK_THROWS_WITH(WordTokenizer::from_list(folder.path()), Contains("cannot be read"));
}

TEST_CASE("tokenizers survive saving and loading, and tell each other apart") {
  const TemporaryFolder folder;
  const std::string text = "the cat 's hat 12\nthe cat\n";
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  tokenizers.push_back(make_byte_tokenizer());
  tokenizers.push_back(small_gpt2(folder));
  tokenizers.push_back(train_bpe(text, 260));
  tokenizers.push_back(train_bpe(text, 261));
  tokenizers.push_back(WordTokenizer::from_text(text, 1, 0));
  tokenizers.push_back(WordTokenizer::from_text(text, 2, 0));
  std::vector<std::string> fingerprints;
  for (const auto& tokenizer : tokenizers) {
    folder.write("tokenizer.json", tokenizer->to_json().dump(1));
    const auto loaded = load_tokenizer(folder.path());
    CHECK(loaded->name() == tokenizer->name());
    CHECK(loaded->fingerprint() == tokenizer->fingerprint());
    CHECK(loaded->vocabulary_size() == tokenizer->vocabulary_size());
    CHECK(encode(*loaded, text) == encode(*tokenizer, text));
    CHECK(loaded->decode(encode(*loaded, text)).size() > 0);
    fingerprints.push_back(tokenizer->fingerprint());
  }
  std::sort(fingerprints.begin(), fingerprints.end());
  CHECK(std::unique(fingerprints.begin(), fingerprints.end()) == fingerprints.end());
}

TEST_CASE("a tokenizer that cannot be read says why") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(load_tokenizer(folder.path()), Contains("tokenizer.json: not found"));
  const auto refused = [&](const std::string& json, const std::string& why) {
    folder.write("tokenizer.json", json);
    CHECK_THROWS_WITH(load_tokenizer(folder.path()),
                      Contains("tokenizer.json: damaged") && Contains(why));
  };
  refused("", "parse error");
  refused(R"({"kind": "word", "words": ["<unk>", "<eo)", "parse error");
  refused(R"({"kind": "syllable"})", "syllable");
  refused(R"({"words": []})", "kind");
  refused(R"({"kind": "word", "words": ["<unk>", "a"]})", "the vocabulary has no <eos>");
  refused(R"({"kind": "word", "words": ["<unk>", "<eos>", "a", "a"]})", "'a' stands twice");
  refused(R"({"kind": "bpe", "tokens": ["a"], "merges": []})", "no token for byte 0");
  refused(R"({"kind": "bpe", "tokens": ["a", "b"], "merges": ["a b"]})", "name 'ab'");
  refused(R"({"kind": "bpe", "tokens": ["a", ""], "merges": ["a "]})", "no merge of two tokens");
}
