// Tables as text, and what they call their rows.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

/// Rows of fields as text, the first field to the left and the others to the right of columns that
/// are as wide as they need to be. A row of one field is a heading.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

struct Table {
  std::string title;
  std::vector<std::vector<std::string>> rows;  // as aligned() takes them, column heads first
};

/// The title and the rows.
std::string text_of(const Table& table);

/// "3.14" with so many digits after the point.
std::string fixed(double value, int digits);

/// Mean and standard deviation (of a sample; 0 of one value).
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<double>& values);

/// The name of a run's folder, also where it is given as "." or "runs/alibi/". Throws Error if it
/// cannot stand in a CSV.
std::string label_of(const std::filesystem::path& folder);

}  // namespace farsight
