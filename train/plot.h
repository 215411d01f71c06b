// Line plots through gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

struct Curve {
  std::string label;
  std::vector<std::pair<double, double>> points;
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<double> x_ticks;  // the x axis is logarithmic, base 2
  bool log_y = false;
  double marked_x = 0;  // a dashed line there, 0 = none
  std::string mark_label;
  std::vector<Curve> curves;  // up to forty are unlike each other
};

/// Writes STEM.gp, a gnuplot script that holds the data, and runs it for STEM.svg and STEM.png.
/// Returns false, the script written, where gnuplot is not installed. Throws Error if it fails, or
/// a curve is empty or has a point that is not finite.
bool write_plot(const std::filesystem::path& stem, const Plot& plot);

}  // namespace farsight
