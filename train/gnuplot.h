// Pictures through gnuplot.
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace farsight {

/// A text as gnuplot takes it literally, with its quotes.
std::string gnuplot_text(const std::string& text);

/// Writes STEM.gp, a script that holds its data, and runs it for STEM.svg and STEM.png. Returns
/// false, the script written, where gnuplot is not installed. Throws Error if it fails.
bool draw(const std::filesystem::path& stem,
          const std::function<void(std::ostream&)>& write_script);

/// The lines that tell a user which files draw() has left.
std::string pictures_of(const std::filesystem::path& stem, bool drawn);

}  // namespace farsight
