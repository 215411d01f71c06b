// CSV files with a header line and numbers: what farsight's commands leave for each other.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

/// A table of text; fields hold no commas and no quotes. Errors name the file and the line.
class Csv {
 public:
  Csv(std::string path, std::vector<std::string> columns,
      std::vector<std::vector<std::string>> rows)
      : path_(std::move(path)), columns_(std::move(columns)), rows_(std::move(rows)) {}

  size_t rows() const { return rows_.size(); }

  /// The field of a row and column. Throws Error if there is no such column, or the field is not a
  /// finite number (inf and nan are refused) or a whole one where that is asked for.
  const std::string& text(size_t row, const std::string& column) const;
  double number(size_t row, const std::string& column) const;
  int64_t integer(size_t row, const std::string& column) const;

 private:
  [[noreturn]] void refuse(size_t row, const std::string& column, const char* expected) const;

  std::string path_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Throws Error if the file cannot be read, is empty or has a row of another number of fields.
Csv read_csv(const std::filesystem::path& path);

}  // namespace farsight
