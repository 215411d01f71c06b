// Tables as text: see table.h.
#include "train/table.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "core/error.h"

namespace farsight {

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    if (row.size() < 2) continue;
    widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::ostringstream table;
  for (const auto& row : rows) {
    table << row[0];
    if (row.size() > 1) table << std::string(widths[0] - row[0].size(), ' ');
    for (size_t i = 1; i < row.size(); ++i)
      table << "  " << std::string(widths[i] - row[i].size(), ' ') << row[i];
    table << '\n';
  }
  return table.str();
}

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
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
