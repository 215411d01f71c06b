// Line plots through gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

struct Curve {
  std::string label;
  std::vector<std::pair<double, double>> points;
  // Which colour and which dashes; by default a colour of its own and, without marks, dashes too
  // once the colours begin again.
  int colour = -1, dashes = -1;
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<double> x_ticks;  // the x axis is logarithmic, base 2
  bool log_y = false;
  double marked_x = 0;  // a dashed line there, 0 = none
  std::string mark_label;
  bool marks = true;          // at the points of the curves
  bool legend = false;        // to the right, instead of a label at each curve's end
  std::vector<Curve> curves;  // up to forty are unlike each other
};

/// Ticks at 1, 2, 4, … or at 1/2, 1/4, …, as far as the curves go. Throws Error if a point does not
/// lie at x > 0.
void add_doubling_ticks(Plot& plot);

/// Draws STEM.svg and STEM.png as draw() does, false meaning that gnuplot is not installed. Throws
/// Error if it fails, or a curve is empty or has a point that is not finite.
bool write_plot(const std::filesystem::path& stem, const Plot& plot);

/// The same as SVG text. Throws Error if gnuplot is not installed, too.
std::string svg_of(const Plot& plot);

}  // namespace farsight
