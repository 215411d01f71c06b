// Reading and writing safetensors: see safetensors.h.
#include "train/safetensors.h"

#include <xxhash.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace farsight {
namespace {

constexpr const char* kType = sizeof(real) == 4 ? "F32" : "F64";
constexpr size_t kLargestHeader = 100 << 20;

constexpr const char* kMetadata = "__metadata__";
constexpr const char* kChecksum = "checksum";

/// Of a header, which must hold no checksum yet, and the values in the order of the file.
class Checksum {
 public:
  explicit Checksum(const nlohmann::json& header) : state_(XXH64_createState(), XXH64_freeState) {
    XXH64_reset(state_.get(), 0);
    const std::string text = header.dump();
    XXH64_update(state_.get(), text.data(), text.size());
  }

  void add(std::span<const real> values) {
    XXH64_update(state_.get(), values.data(), values.size_bytes());
  }

  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(XXH64_digest(state_.get())));
    return std::string("xxh64:") + digits;
  }

 private:
  std::unique_ptr<XXH64_state_t, decltype(&XXH64_freeState)> state_;
};

nlohmann::json extents_of(const Shape& shape) {
  nlohmann::json extents = nlohmann::json::array();
  for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  return extents;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedValues>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header;
  size_t offset = 0;
  for (const NamedValues& tensor : tensors) {
    const size_t bytes = tensor.values.size_bytes();
    header[tensor.name] = {{"dtype", kType},
                           {"shape", extents_of(tensor.shape)},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  header[kMetadata] = metadata;
  Checksum checksum(header);
  for (const NamedValues& tensor : tensors) checksum.add(tensor.values);
  header[kMetadata][kChecksum] = checksum.text();
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the values are aligned

  write_file(path, [&](std::ostream& stream) {
    const uint64_t length = text.size();
    stream.write(reinterpret_cast<const char*>(&length), sizeof length);
    stream << text;
    for (const NamedValues& tensor : tensors)
      stream.write(reinterpret_cast<const char*>(tensor.values.data()),
                   static_cast<std::streamsize>(tensor.values.size_bytes()));
  });
}

Safetensors::Safetensors(const std::filesystem::path& path) : path_(path.string()) {
  std::error_code reason;
  const auto file_size = std::filesystem::file_size(path, reason);
  check(!reason, path_, ": cannot be read (", reason.message(), "); pass a checkpoint such as ",
        "runs/NAME/checkpoint.safetensors");
  const auto damaged = [&](const auto&... what) {
    fail(path_, ": not a sound safetensors file: ", what..., "; use another checkpoint");
  };
  std::ifstream file(path, std::ios::binary);
  uint64_t length = 0;
  if (!file.read(reinterpret_cast<char*>(&length), sizeof length)) damaged("it is too short");
  if (length > kLargestHeader || length > file_size - sizeof length)
    damaged("its header claims ", length, " bytes and the file has ", file_size);
  std::string text(length, '\0');
  if (!file.read(text.data(), length)) damaged("the header cannot be read");
  const size_t data_bytes = file_size - sizeof length - length;

  nlohmann::json header;
  try {
    header = nlohmann::json::parse(text);
    for (const auto& [name, fields] : header.items()) {
      if (name == kMetadata) {
        metadata_ = fields.get<std::map<std::string, std::string>>();
        continue;
      }
      if (fields.at("dtype") != kType) damaged(name, " is of type ", fields.at("dtype").dump());
      const auto offsets = fields.at("data_offsets").get<std::vector<uint64_t>>();
      if (offsets.size() != 2) damaged(name, " has ", offsets.size(), " offsets instead of 2");
      entries_[name] = {fields.at("shape").get<std::vector<int64_t>>(), offsets[0], offsets[1]};
    }
  } catch (const nlohmann::json::exception& error) {
    damaged("its header is no such JSON (", error.what(), ")");
  }

  std::map<size_t, size_t> covered;
  for (const auto& [name, entry] : entries_) {
    uint64_t bytes = sizeof(real);
    for (const int64_t extent : entry.shape) {
      if (extent < 0 || (extent > 0 && bytes > data_bytes / extent)) {
        if (extent < 0 || bytes != 0) damaged(name, " claims an impossible shape");
      }
      bytes *= extent;
    }
    if (entry.begin > entry.end || entry.end > data_bytes || entry.end - entry.begin != bytes)
      damaged(name, " claims bytes ", entry.begin, " to ", entry.end, " of ", data_bytes, " for ",
              bytes, " bytes of values");
    if (bytes && !covered.emplace(entry.begin, entry.end).second) damaged("tensors overlap");
  }
  size_t end = 0;
  for (const auto& [begin, stop] : covered) {
    if (begin != end) damaged("tensors overlap or leave a gap at byte ", begin);
    end = stop;
  }
  if (end != data_bytes) damaged(data_bytes - end, " bytes belong to no tensor");

  data_.resize(data_bytes / sizeof(real));
  if (!file.read(reinterpret_cast<char*>(data_.data()), data_bytes)) damaged("it is truncated");
  if (metadata_.count(kChecksum)) {
    header[kMetadata].erase(kChecksum);
    Checksum checksum(header);
    checksum.add(data_);
    if (metadata_.at(kChecksum) != checksum.text()) damaged("the checksum does not fit");
  }
}

const std::string& Safetensors::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  check(found != metadata_.end(), path_, ": has no metadata '", key,
        "', so it is no checkpoint of farsight");
  return found->second;
}

std::span<const real> Safetensors::tensor(const std::string& name, const Shape& shape) const {
  const auto found = entries_.find(name);
  check(found != entries_.end(), path_, ": has no tensor '", name,
        "'; it does not belong to a model of these settings");
  const Entry& entry = found->second;
  const nlohmann::json have = entry.shape, want = extents_of(shape);
  check(have == want, path_, ": tensor '", name, "' has shape ", have.dump(), " instead of ",
        want.dump());
  return {data_.data() + entry.begin / sizeof(real), static_cast<size_t>(shape.size())};
}

}  // namespace farsight
