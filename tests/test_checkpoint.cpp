// Checkpoints: what is saved comes back, and damage is recognised.
#include <sys/stat.h>
#include <xxhash.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/safetensors.h"

namespace farsight {
namespace {

uint64_t header_length(const std::string& bytes) {
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length;
}

/// The file with its JSON header changed, and a checksum that fits: damage by somebody who means
/// it.
std::string with_header(const std::string& bytes,
                        const std::function<void(nlohmann::json&)>& change) {
  const uint64_t length = header_length(bytes);
  auto header = nlohmann::json::parse(bytes.substr(8, length));
  change(header);
  nlohmann::json& metadata = header["__metadata__"];
  if (metadata.erase("checksum")) {
    const std::string covered = header.dump() + bytes.substr(8 + length);
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(XXH64(covered.data(), covered.size(), 0)));
    metadata["checksum"] = std::string("xxh64:") + digits;
  }
  const std::string text = header.dump();
  const uint64_t changed = text.size();
  return std::string(reinterpret_cast<const char*>(&changed), 8) + text + bytes.substr(8 + length);
}

}  // namespace

TEST_CASE("a saved model gives the same losses, for every scheme") {
  const TemporaryFolder folder;
  const TokenSource text = small_text(200);
  for (const PositionEntry* entry : PositionEntry::all()) {
    Trainer trainer(small_run(entry->name), text, cpu_backend());
    trainer.step();
    trainer.save(folder.path() / "model");
    const TrainedModel loaded = load_checkpoint(folder.path() / "model", cpu_backend());
    CHECK(loaded.step == 1);
    CHECK(loaded.tokenizer == text.tokenizer);
    const auto losses = [](LanguageModel& model) {
      return model.losses(small_ids(0, 8), small_ids(1, 8), 1).to_vector();
    };
    INFO(entry->name);
    CHECK(losses(*loaded.model) == losses(trainer.model()));
  }
}

TEST_CASE("a damaged checkpoint is recognised") {
  const TemporaryFolder folder;
  const TokenSource text = small_text(200);
  const auto bad = folder.path() / "bad";
  Trainer(small_run("t5"), text, cpu_backend()).save(folder.path() / "good");
  const std::string bytes = folder.read("good");
  const auto error_with = [&](const std::string& damaged) {
    folder.write("bad", damaged);
    const std::string error = error_of([&] { load_checkpoint(bad, cpu_backend()); });
    CHECK((error.empty() || contains(error, bad.string())));
    return error;
  };
  const std::string name = "blocks.0.attention.query.weight";

  CHECK(contains(error_with(""), "too short"));
  CHECK(contains(error_with(bytes.substr(0, 100)), "header claims"));
  CHECK(contains(error_with(bytes.substr(0, bytes.size() - 4)), "claims bytes"));
  CHECK(contains(error_with(bytes + "more"), "belong to no tensor"));
  std::string flipped = bytes;
  flipped[bytes.size() - 9] ^= 1;
  CHECK(contains(error_with(flipped), "checksum"));
  std::string renamed = bytes;
  renamed.replace(renamed.find("\\\"heads\\\":4"), 11, "\\\"heads\\\":2");
  CHECK(contains(error_with(renamed), "checksum"));
  CHECK(
      contains(error_with(with_header(bytes, [](auto& h) { h["__metadata__"].erase("checksum"); })),
               "no metadata 'checksum'"));
  CHECK(contains(error_with("this is no checkpoint at all, but it is long enough"), "header"));
  CHECK(contains(error_with(with_header(bytes, [&](auto& h) { h[name]["data_offsets"][1] = 1e9; })),
                 name));
  CHECK(contains(error_with(with_header(bytes,
                                        [&](auto& h) {
                                          h[name]["data_offsets"] = {0, 4};
                                        })),
                 name));
  CHECK(contains(error_with(with_header(bytes,
                                        [&](auto& h) {
                                          h[name]["shape"] = {8, 32};
                                        })),
                 "has shape [8,32] instead of [16,16]"));
  CHECK(contains(error_with(with_header(bytes,
                                        [&](auto& h) {
                                          h[name]["shape"] = {1 << 30, 1 << 30, 4};
                                        })),
                 "impossible shape"));
  CHECK(contains(error_with(with_header(bytes,
                                        [&](auto& h) {
                                          h["renamed"] = h[name];
                                          h.erase(name);
                                        })),
                 "no tensor '" + name + "'"));
  CHECK(
      contains(error_with(with_header(bytes, [&](auto& h) { h["__metadata__"].erase("config"); })),
               "no metadata 'config'"));
  CHECK(contains(error_with(with_header(
                     bytes, [&](auto& h) { h["__metadata__"]["config"] = "{\"width\": \"x\"}"; })),
                 "damaged settings"));
  const auto with_setting = [&](const char* setting, const nlohmann::json& value) {
    return error_with(with_header(bytes, [&](auto& h) {
      auto config = nlohmann::json::parse(h["__metadata__"]["config"].template get<std::string>());
      config[setting] = value;
      h["__metadata__"]["config"] = config.dump();
    }));
  };
  CHECK(with_setting("rate", 0.5) == "");
  CHECK(contains(with_setting("blocks", 1), "tensors"));
  CHECK(contains(with_setting("blocks", 1000), "larger model"));
  CHECK(contains(with_setting("width", 16.5), "no whole number"));
  CHECK(contains(with_setting("width", -16), "width must be"));
  CHECK(contains(with_setting("activation", "relu"), "unknown activation"));
  CHECK(contains(with_setting("colour", 1), "unknown setting 'colour'"));
  for (const char* step : {"5x", "-5", ""}) {
    CHECK(
        contains(error_with(with_header(bytes, [&](auto& h) { h["__metadata__"]["step"] = step; })),
                 "not a number of steps"));
  }
  CHECK(
      contains(error_of([&] { load_checkpoint(folder.path() / "none", cpu_backend()); }), "none"));
}

TEST_CASE("a run goes on only with the settings and tokens it began with") {
  const TemporaryFolder folder;
  const TokenSource text = small_text(200);
  Trainer(small_run("alibi"), text, cpu_backend()).save(folder.path() / "model");
  const auto error_with = [&](Config config, const TokenSource& source) {
    Trainer trainer(config, source, cpu_backend());
    return error_of([&] { trainer.resume(folder.path() / "model"); });
  };
  CHECK(contains(error_with(small_run("none"), text), "position"));
  TokenSource other = text;
  other.tokenizer = "another";
  CHECK(contains(error_with(small_run("alibi"), other), "another tokenizer"));
  Config longer = small_run("alibi");
  longer.steps = 100;
  CHECK(error_with(longer, text).empty());
  Trainer trainer(longer, text, cpu_backend());
  const auto changes = trainer.resume(folder.path() / "model");
  REQUIRE(changes.size() == 1);
  CHECK(contains(changes[0], "steps = 100 (was "));
}

TEST_CASE("parameters that are not finite are not saved") {
  const TemporaryFolder folder;
  const TokenSource text = small_text(200);
  Trainer trainer(small_run("alibi"), text, cpu_backend());
  trainer.save(folder.path() / "model");
  const std::string before = folder.read("model");
  trainer.parameters().values().data()[3] = std::numeric_limits<real>::infinity();
  CHECK(contains(error_of([&] { trainer.save(folder.path() / "model"); }), "not finite"));
  CHECK(folder.read("model") == before);
}

TEST_CASE("a file that cannot be written leaves the old one alone") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, [](std::ostream& stream) { stream << "old"; });
  CHECK_THROWS(write_file(path, [](std::ostream& stream) {
    stream << "new";
    throw std::runtime_error("stopped half way");
  }));
  CHECK(contains(
      error_of([&] { write_file(path, [](std::ostream& s) { s.setstate(std::ios::badbit); }); }),
      "cannot write it all"));
  CHECK(folder.read("file") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);
  CHECK(contains(error_of([&] { write_file(path / "below", [](std::ostream&) {}); }),
                 "cannot create this folder"));
}

TEST_CASE("writing follows links, keeps permissions and leaves devices what they are") {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const auto hello = [](std::ostream& stream) { stream << "hello"; };
  const fs::path file = folder.write("file", "old"), link = folder.path() / "link";
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("file", link);
  write_file(link, hello);
  CHECK(fs::is_symlink(link));
  CHECK(folder.read("file") == "hello");
  CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  write_file("/dev/null", hello);
  CHECK(fs::is_character_file("/dev/null"));
  CHECK(contains(error_of([&] { write_file(folder.path(), hello); }), "is a folder"));
}

}  // namespace farsight
