// Token files: what is written is read, and every kind of damage is refused.
#include <xxhash.h>

#include <cstring>
#include <sstream>

#include "data/token_file.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace farsight;
using Catch::Matchers::Contains;

namespace {

constexpr size_t kHeaderBytes = 112, kIdsHashAt = 80, kHeaderHashAt = 96;

std::string token_file(int64_t vocabulary, const std::vector<int32_t>& ids) {
  std::ostringstream stream;
  TokenFileWriter writer(stream, vocabulary);
  const size_t half = ids.size() / 2;
  writer.add(std::span(ids).first(half));
  writer.add(std::span(ids).subspan(half));
  TokenHeader header{"word", "0123456789abcdef"};
  header.words = 11;
  header.bytes = 22;
  writer.finish(header);
  return stream.str();
}

/// Puts right the checksums of a file whose contents were changed on purpose.
std::string resealed(std::string bytes) {
  const auto put = [&](size_t at, uint64_t value) { std::memcpy(&bytes[at], &value, 8); };
  put(kIdsHashAt, XXH3_64bits(&bytes[kHeaderBytes], bytes.size() - kHeaderBytes));
  put(kHeaderHashAt, XXH3_64bits(bytes.data(), kHeaderHashAt));
  return bytes;
}

std::string replaced(std::string bytes, size_t at, uint64_t value, size_t width = 8) {
  std::memcpy(&bytes[at], &value, width);
  return bytes;
}

}  // namespace

TEST_CASE("token files give back what was written") {
  const TemporaryFolder folder;
  // 16 bits hold 65,536 ids and no more.
  for (const auto& [vocabulary, width] : {std::pair(65536, 2), std::pair(65537, 4)}) {
    const std::vector<int32_t> ids = {0, 1, 65535, 300, vocabulary - 1};
    const TokenFile file(folder.write("a.bin", token_file(vocabulary, ids)));
    CHECK(std::filesystem::file_size(folder.path() / "a.bin") == kHeaderBytes + 5 * width);
    CHECK(file.size() == 5);
    CHECK(file.header().vocabulary == vocabulary);
    CHECK(file.header().tokenizer == "word");
    CHECK(file.header().fingerprint == "0123456789abcdef");
    CHECK(file.header().words == 11);
    CHECK(file.header().bytes == 22);
    std::vector<int32_t> all(5), middle(2);
    file.read(0, all);
    file.read(2, middle);
    CHECK(all == ids);
    CHECK(middle == std::vector<int32_t>{65535, 300});
    CHECK_THROWS_WITH(file.read(4, middle), Contains("2 tokens from token 4 on"));
    CHECK_THROWS_WITH(file.read(-1, middle), Contains("from token -1"));
    CHECK_THROWS_WITH(file.read(INT64_MAX, middle), Contains("not all in this file of 5"));
  }
}

TEST_CASE("ids outside the vocabulary are not written") {
  std::ostringstream stream;
  TokenFileWriter writer(stream, 10);
  CHECK_THROWS_WITH(writer.add(std::vector<int32_t>{9, 10}), Contains("token id 10 is outside"));
  CHECK_THROWS_WITH(writer.add(std::vector<int32_t>{-1}), Contains("token id -1 is outside"));
}

TEST_CASE("token files that cannot be trusted are refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& bytes, const std::string& why) {
    const auto path = folder.write("bad.bin", bytes);
    CHECK_THROWS_WITH(TokenFile(path), Contains("bad.bin: ") && Contains(why) &&
                                           Contains("run `farsight prepare` again"));
  };
  const std::string narrow = token_file(10, {1, 2, 3, 9}), wide = token_file(70000, {1, 69999});
  REQUIRE(resealed(narrow) == narrow);  // or the constants above have fallen behind

  CHECK_THROWS_WITH(TokenFile(folder.path() / "none.bin"),
                    Contains("none.bin: not found") && Contains("farsight prepare"));
  CHECK_THROWS_WITH(TokenFile(folder.path()), Contains("cannot be read"));
  refused("", "empty");
  refused(" = Some article = \n\n It was text . \n", "no token file");
  refused(narrow.substr(0, kHeaderBytes - 1), "truncated");
  refused(narrow.substr(0, kHeaderBytes), "truncated");
  refused(narrow.substr(0, narrow.size() - 1), "truncated");
  refused(wide.substr(0, wide.size() - 4), "truncated");
  refused(narrow + "x", "appended");
  refused(narrow + narrow, "appended");
  refused(replaced(narrow, 7, '9', 1), "version 9");
  refused(resealed(replaced(narrow, kHeaderBytes + 2, 10, 2)), "token 10, outside");
  refused(resealed(replaced(wide, kHeaderBytes, 70000, 4)), "token 70000, outside");
  refused(resealed(replaced(wide, kHeaderBytes, 0xFFFFFFFF, 4)), "token -1, outside");
  refused(resealed(replaced(narrow, 8, 4)), "makes no sense");  // bytes per token
  refused(resealed(replaced(narrow, 8, 0)), "makes no sense");
  refused(resealed(replaced(narrow, 16, 0)), "makes no sense");  // vocabulary
  refused(resealed(replaced(narrow, 16, uint64_t{1} << 40)), "makes no sense");
  for (const size_t count : {24, 32, 40})  // tokens, words, bytes
    refused(resealed(replaced(narrow, count, uint64_t{1} << 63)), "makes no sense");
  // Any single bit that flips anywhere is noticed.
  for (size_t bit = 0; bit < narrow.size() * 8; ++bit) {
    std::string bytes = narrow;
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    INFO("bit " << bit);
    CHECK_THROWS(TokenFile(folder.write("bad.bin", bytes)));
  }
}
