// From text files to token files: what is counted, what is refused, and that nothing old is lost.
#include <algorithm>
#include <map>
#include <set>

#include "core/file.h"
#include "data/prepare.h"
#include "data/token_file.h"
#include "data/tokenizer.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace farsight;
using Catch::Matchers::Contains;

namespace {

std::vector<int32_t> ids_of(const std::filesystem::path& path) {
  const TokenFile file(path);
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.read(0, ids);
  return ids;
}

/// Names and bytes of all files in a folder.
std::map<std::string, std::string> contents(const TemporaryFolder& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const std::string name = entry.path().filename().string();
    files[name] = folder.read(name);
  }
  return files;
}

/// Lines of words of one to three letters, over several chunks.
std::string long_text() {
  std::string text;
  for (unsigned i = 0, state = 1; i < 1'000'000; ++i) {
    state = state * 1103515245 + 12345;
    text += std::string(1 + state / 65536 % 3, static_cast<char>('a' + state / 262144 % 26));
    text += i % 20 == 19 ? '\n' : ' ';
  }
  return text;
}

}  // namespace

TEST_CASE("a folder of WikiText's files becomes token files") {
  const TemporaryFolder text, out;
  text.write("wiki.train.tokens", " = A title = \n\n a b a \n");
  text.write("wiki.valid.tokens", "a new b\n");
  PrepareOptions options;
  options.text = text.path();
  options.out = out.path();
  const Prepared prepared = prepare(options, write_file);
  CHECK(prepared.tokenizer == "word");
  CHECK(prepared.vocabulary == 7);  // <eos> <unk> = a A b title
  REQUIRE(prepared.splits.size() == 2);
  const PreparedSplit& train = prepared.splits[0];
  CHECK(train.name == "train");
  CHECK(train.tokens == 10);
  CHECK(train.words == 10);
  CHECK(train.bytes == 23);
  CHECK(train.unknown == 0);
  CHECK(prepared.splits[1].unknown == 1);
  CHECK(ids_of(out.path() / "train.bin") == std::vector<int32_t>{2, 4, 6, 2, 0, 0, 3, 5, 3, 0});
  CHECK(ids_of(out.path() / "valid.bin") == std::vector<int32_t>{3, 1, 5, 0});
  CHECK(contents(out).size() == 3);

  const auto tokenizer = load_tokenizer(out.path());
  const TokenFile file(out.path() / "valid.bin");
  CHECK(file.header().fingerprint == tokenizer->fingerprint());
  CHECK(file.header().words == 4);
  CHECK(file.header().bytes == 8);
}

TEST_CASE("every tokenizer prepares a text of several chunks as a whole") {
  const TemporaryFolder text, out;
  const std::string long_one = long_text();
  const auto lines = std::count(long_one.begin(), long_one.end(), '\n');
  const auto words = std::count(long_one.begin(), long_one.end(), ' ') + 2 * lines;
  PrepareOptions options;
  options.train = text.write("long.txt", long_one);
  options.out = out.path();
  for (const std::string kind : {"word", "bpe", "byte"}) {
    INFO(kind);
    options.tokenizer = kind;
    options.vocabulary_size = kind == "bpe" ? 300 : 0;
    int64_t reports = 0, last = 0;
    const Prepared prepared =
        prepare(options, write_file, [&](const std::string& what, int64_t done, int64_t total) {
          reports += what == "encoding train";
          last = total - done;
        });
    CHECK(reports > 2);
    CHECK(last == 0);
    const auto tokenizer = load_tokenizer(out.path());
    std::vector<int32_t> whole;
    tokenizer->encode(long_one, whole);
    CHECK((ids_of(out.path() / "train.bin") == whole));
    CHECK((tokenizer->decode(whole) == long_one));
    CHECK(prepared.splits.at(0).words == words);
  }
}

TEST_CASE("a tokenizer prepared before encodes other text") {
  const TemporaryFolder text, first, second;
  PrepareOptions options;
  options.train = text.write("a.txt", "one two two\n");
  options.out = first.path();
  prepare(options, write_file);
  PrepareOptions again;
  again.test = text.write("b.txt", "two three\n");
  again.tokenizer_from = first.path();
  again.out = second.path();
  CHECK(prepare(again, write_file).splits.at(0).unknown == 1);
  CHECK(second.read("tokenizer.json") == first.read("tokenizer.json"));
  CHECK(TokenFile(second.path() / "test.bin").header().fingerprint ==
        TokenFile(first.path() / "train.bin").header().fingerprint);
}

TEST_CASE("the embedded corpus needs no files") {
  const TemporaryFolder out;
  PrepareOptions options;
  options.embedded = true;
  options.out = out.path();
  const Prepared prepared = prepare(options, write_file);
  CHECK(prepared.vocabulary < 1000);
  REQUIRE(prepared.splits.size() == 2);
  CHECK(prepared.splits[1].unknown == 0);
  CHECK(out.read("valid.marks.csv").starts_with("position,distance,choices\n"));

  // Marks count in words, and what belongs to another preparation does not stay.
  out.write("test.bin", "old");
  out.write("notes.txt", "kept");
  options.tokenizer = "byte";
  prepare(options, write_file);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(out.path()))
    names.insert(entry.path().filename());
  CHECK(names == std::set<std::string>{"train.bin", "valid.bin", "tokenizer.json", "notes.txt"});
}

TEST_CASE("what cannot be prepared is refused and leaves the old files alone") {
  const TemporaryFolder text, out;
  PrepareOptions options;
  options.train = text.write("good.txt", "a b c\n");
  options.valid = options.train;
  options.out = out.path();
  prepare(options, write_file);
  const auto before = contents(out);

  const auto refused = [&](const PrepareOptions& wrong, const std::string& why) {
    CHECK_THROWS_WITH(prepare(wrong, write_file), Contains(why));
    CHECK(contents(out) == before);
  };
  const auto with = [&](const auto& change) {
    PrepareOptions changed = options;
    change(changed);
    return changed;
  };
  const auto valid_text = [&](const std::string& bytes) {
    return with([&](PrepareOptions& o) { o.valid = text.write("bad.txt", bytes); });
  };
  refused(valid_text(""), "bad.txt: is empty");
  refused(valid_text(" \t "), "bad.txt: holds only white space");
  // A fault in the last file, after the first ones are written; the byte is counted in the file.
  refused(valid_text(std::string(1'500'000, 'a') + " \xFF"), "bad.txt: byte 1500001: not valid");
  refused(with([&](auto& o) { o.train = text.write("bad.txt", "a\n\xC3"); }), "bad.txt: byte 2:");
  refused(with([&](auto& o) { o.train = text.path() / "none.txt"; }), "none.txt: cannot be read");
  refused(with([&](auto& o) { o.train = text.path(); }), "cannot be read");
  refused(with([&](auto& o) { o.train.clear(); }), "there is none");
  refused(with([&](auto& o) { o.embedded = true; }), "in one way");
  refused(with([&](auto& o) { o.train.clear(), o.valid.clear(); }), "in one way");
  refused(with([&](auto& o) { o.tokenizer = "syllable"; }), "no tokenizer 'syllable'");
  refused(with([&](auto& o) { o.tokenizer = "bpe"; }), "needs --vocab-size");
  refused(with([&](auto& o) { o.tokenizer = "gpt2"; }), "needs --encoder");
  refused(with([&](auto& o) { o.tokenizer = "byte", o.vocabulary_size = 300; }),
          "--vocab-size does not go with --tokenizer byte");
  refused(with([&](auto& o) { o.vocabulary_list = o.train, o.min_count = 2; }),
          "--min-count does not go with --vocab");
  refused(with([&](auto& o) { o.encoder = o.train; }), "--encoder does not go");
  refused(with([&](auto& o) { o.tokenizer_from = text.path(); }), "tokenizer.json: not found");
  refused(with([&](auto& o) { o.tokenizer_from = text.path(), o.tokenizer = "bpe"; }),
          "--tokenizer does not go with --tokenizer-from");
  refused(with([&](auto& o) { o.out.clear(); }), "--out");

  std::filesystem::create_directory(out.path() / "test.bin");
  CHECK_THROWS_WITH(prepare(with([&](auto& o) { o.test = o.train; }), write_file),
                    Contains("test.bin: is a folder"));
  std::filesystem::remove(out.path() / "test.bin");
  CHECK(contents(out) == before);

  const TemporaryFolder wiki;
  PrepareOptions folder;
  folder.text = wiki.path();
  folder.out = out.path();
  refused(folder, "holds no wiki.{train,valid,test}.{tokens,raw}");
  wiki.write("wiki.train.tokens", "a\n");
  wiki.write("wiki.valid.raw", "a\n");
  refused(folder, "holds both .tokens and .raw");
}

TEST_CASE("a full disk replaces none of the old files") {
  const TemporaryFolder text, out;
  PrepareOptions options;
  options.train = text.write("a.txt", "a b c\n");
  options.valid = options.train;
  options.out = out.path();
  prepare(options, write_file);
  const auto before = contents(out);
  options.train = options.valid = text.write("b.txt", "d e f\n");
  const auto no_room_for = [](const std::string& name) {
    return [name](const std::filesystem::path& path, const auto& write) {
      write_file(path, [&](std::ostream& stream) {
        write(stream);
        if (path.filename() == name) stream.setstate(std::ios::badbit);
      });
    };
  };
  CHECK_THROWS_WITH(prepare(options, no_room_for("tokenizer.json")), Contains("tokenizer.json"));
  CHECK(contents(out) == before);
}
