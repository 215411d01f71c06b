// A file's bytes, mapped into memory rather than read.
#pragma once

#include <filesystem>
#include <string_view>

namespace farsight {

class MappedFile {
 public:
  /// Throws std::runtime_error naming the file if it cannot be read; an empty file is fine.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace farsight
