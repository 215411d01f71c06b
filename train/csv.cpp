// Reading CSV: see csv.h.
#include "train/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "core/error.h"

namespace farsight {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',')
      fields.emplace_back();
    else if (c != '\r')
      fields.back() += c;
  }
  return fields;
}

/// The whole field as a number, or false.
template <class Number>
bool parse(const std::string& field, Number& value) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc() && end == field.data() + field.size();
}

}  // namespace

const std::string& Csv::text(size_t row, const std::string& column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  check(found != columns_.end(), path_, ": has no column '", column, "'");
  check(row < rows_.size(), path_, ": has ", rows_.size(), " rows, too few");
  return rows_[row][found - columns_.begin()];
}

void Csv::refuse(size_t row, const std::string& column, const char* expected) const {
  fail(path_, ":", row + 2, ": expected ", expected, " in column ", column, ", not '",
       text(row, column), "'");
}

double Csv::number(size_t row, const std::string& column) const {
  double value = 0;
  if (!parse(text(row, column), value) || !std::isfinite(value))
    refuse(row, column, "a finite number");
  return value;
}

int64_t Csv::integer(size_t row, const std::string& column) const {
  int64_t value = 0;
  if (!parse(text(row, column), value)) refuse(row, column, "a whole number");
  return value;
}

Csv read_csv(const std::filesystem::path& path) {
  std::ifstream file(path);
  check(file.is_open(), path.string(), ": not found");
  std::string line;
  check(static_cast<bool>(std::getline(file, line)), path.string(), ": is empty");
  const std::vector<std::string> columns = split(line);
  std::vector<std::vector<std::string>> rows;
  while (std::getline(file, line)) {
    rows.push_back(split(line));
    check(rows.back().size() == columns.size(), path.string(), ":", rows.size() + 1, ": ",
          rows.back().size(), " fields instead of ", columns.size());
  }
  return {path.string(), columns, std::move(rows)};
}

}  // namespace farsight
