// Running gnuplot: see gnuplot.h.
#include "train/gnuplot.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace farsight {
namespace {

std::string in_single_quotes(const std::string& text, const std::string& quote_inside) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? quote_inside : std::string(1, c);
  return result + "'";
}

constexpr const char* kSvg = "svg size 960,600 fontscale 1.3 font 'sans-serif,13'";
constexpr const char* kPng =
    "pngcairo size 1440,900 fontscale 1.5 linewidth 1.5 pointscale 1.5 font 'DejaVu Sans,13'";

/// Runs a script, whose path is absolute so that gnuplot takes it for no option.
void run(const std::string& script, const std::string& picture, const char* terminal) {
  // In single quotes gnuplot takes everything literally; in double ones it runs `commands`. Names
  // are shown as they are: without noenhanced, _ would be a subscript.
  const std::string settings =
      concat("set terminal ", terminal, " noenhanced background '#FFFFFF'; set output ",
             gnuplot_text(picture));
  const std::string command = concat("gnuplot -e ", in_single_quotes(settings, "'\\''"), " ",
                                     in_single_quotes(script, "'\\''"), " >&2");
  const int status = std::system(command.c_str());
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, script, ": gnuplot failed on it");
}

}  // namespace

bool has_gnuplot() { return std::system("command -v gnuplot >/dev/null 2>&1") == 0; }

std::string gnuplot_text(const std::string& text) {
  std::string line = text;  // a line break would end the command
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return in_single_quotes(line, "''");
}

bool draw(const std::filesystem::path& stem,
          const std::function<void(std::ostream&)>& write_script) {
  const std::string script = std::filesystem::absolute(stem).string() + ".gp";
  write_file(script, write_script);
  if (!has_gnuplot()) return false;
  run(script, stem.string() + ".svg", kSvg);
  run(script, stem.string() + ".png", kPng);
  return true;
}

std::string drawn_svg(const std::function<void(std::ostream&)>& write_script) {
  check(has_gnuplot(), "gnuplot was not found, which draws the plots; run make deps");
  std::string folder = (std::filesystem::temp_directory_path() / "farsight-XXXXXX").string();
  check(mkdtemp(folder.data()), folder, ": cannot be made");
  const std::string script = folder + "/plot.gp", picture = folder + "/plot.svg";
  std::ostringstream svg;
  try {
    write_file(script, write_script);
    run(script, picture, kSvg);
    svg << std::ifstream(picture).rdbuf();
  } catch (...) {
    std::filesystem::remove_all(folder);
    throw;
  }
  std::filesystem::remove_all(folder);
  return svg.str();
}

std::string pictures_of(const std::filesystem::path& stem, bool drawn) {
  return drawn ? stem.string() + ".svg\n" + stem.string() + ".png\n"
               : stem.string() +
                     ".gp (the plot's script; no picture, because gnuplot was not found: "
                     "run make deps)\n";
}

}  // namespace farsight
