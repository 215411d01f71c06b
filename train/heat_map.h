// Heat maps through gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

struct HeatMap {
  std::string title, x_label, y_label, value_label;
  std::vector<std::string> columns;
  struct Row {
    std::string label;           // to the left
    std::string note;            // to the right
    std::vector<double> values;  // one for each column, 0 … 1
  };
  std::vector<Row> rows;  // from top to bottom
  std::string note_label;
};

/// Draws STEM.svg and STEM.png as draw() does, false meaning that gnuplot is not installed. Throws
/// Error if it fails, or a row has another number of values than there are columns.
bool write_heat_map(const std::filesystem::path& stem, const HeatMap& map);

/// The same as SVG text. Throws Error if gnuplot is not installed, too.
std::string svg_of(const HeatMap& map);

}  // namespace farsight
