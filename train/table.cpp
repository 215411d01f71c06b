// Tables as text: see table.h.
#include "train/table.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "core/error.h"

namespace farsight {
namespace {

/// Characters of a text in UTF-8.
size_t letters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    if (row.size() < 2) continue;
    widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], letters(row[i]));
  }
  std::ostringstream table;
  for (const auto& row : rows) {
    table << row[0];
    if (row.size() > 1) table << std::string(widths[0] - letters(row[0]), ' ');
    for (size_t i = 1; i < row.size(); ++i)
      table << "  " << std::string(widths[i] - letters(row[i]), ' ') << row[i];
    table << '\n';
  }
  return table.str();
}

std::string text_of(const Table& table) { return table.title + "\n" + aligned(table.rows); }

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

Spread spread_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  Spread spread;
  for (const double value : values) spread.mean += value / count;
  for (const double value : values)
    spread.deviation += (value - spread.mean) * (value - spread.mean) / std::max(1.0, count - 1);
  spread.deviation = std::sqrt(spread.deviation);
  return spread;
}

std::string label_of(const std::filesystem::path& folder) {
  const auto whole = std::filesystem::absolute(folder / "").lexically_normal();
  const std::string label = whole.parent_path().filename();
  check(
      label.find_first_of(",\"\r\n") == std::string::npos, folder.string(), ": '", label,
      "' cannot name a run in a CSV, because of its comma, quote or line break; rename the folder");
  return label;
}

}  // namespace farsight
