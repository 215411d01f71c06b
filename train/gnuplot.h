// Pictures through gnuplot.
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace farsight {

/// Whether gnuplot is installed.
bool has_gnuplot();

/// A text as gnuplot takes it literally, with its quotes.
std::string gnuplot_text(const std::string& text);

/// Writes STEM.gp, a script that holds its data, and runs it for STEM.svg and STEM.png. Returns
/// false, the script written, where gnuplot is not installed. Throws Error if it fails.
bool draw(const std::filesystem::path& stem,
          const std::function<void(std::ostream&)>& write_script);

/// The picture that a script draws, as SVG. Throws Error if gnuplot is not installed or fails.
std::string drawn_svg(const std::function<void(std::ostream&)>& write_script);

/// The lines that tell a user which files draw() has left.
std::string pictures_of(const std::filesystem::path& stem, bool drawn);

}  // namespace farsight
