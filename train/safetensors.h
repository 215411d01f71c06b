// The safetensors format: 8 bytes of header length, a JSON header with each tensor's type, shape
// and place, then the values. Values are float32, or float64 in the double build.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/real.h"
#include "core/shape.h"

namespace farsight {

/// A tensor to be written; the values must outlive the call.
struct NamedValues {
  std::string name;
  Shape shape;
  std::span<const real> values;
};

/// Writes atomically. `metadata` must hold no key "checksum": that one is added here, and covers
/// the header and the values.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedValues>& tensors,
                       const std::map<std::string, std::string>& metadata);

/// A whole file in memory. The constructor throws Error, naming the file and the fault, unless the
/// header is sound, the tensors cover the data exactly and the checksum (if there is one) fits.
class Safetensors {
 public:
  explicit Safetensors(const std::filesystem::path& path);

  /// Throws Error if there is no such key.
  const std::string& metadata(const std::string& key) const;

  /// How many tensors there are, and how many elements in all.
  int64_t tensors() const { return static_cast<int64_t>(entries_.size()); }
  int64_t elements() const { return static_cast<int64_t>(data_.size()); }

  /// The values of a tensor. Throws Error if it is missing or has another shape.
  std::span<const real> tensor(const std::string& name, const Shape& shape) const;

 private:
  struct Entry {
    std::vector<int64_t> shape;
    size_t begin, end;  // bytes in data_
  };
  std::string path_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Entry> entries_;
  std::vector<real> data_;
};

}  // namespace farsight
