// Line plots: see plot.h. Colours are Okabe and Ito's, which colour-blind readers can tell apart.
#include "train/plot.h"

#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iomanip>

#include "core/error.h"
#include "core/file.h"

namespace farsight {
namespace {

constexpr const char* kColours[] = {"#D55E00", "#0072B2", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000", "#999933"};

/// In single quotes, as gnuplot and the shell take a string literally.
std::string quoted(const std::string& text, const std::string& quote_inside) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? quote_inside : std::string(1, c);
  return result + "'";
}

/// Where each curve's label stands beside its last point, moved apart so that none overlap. On a
/// logarithmic axis the distances are those of the logarithms.
std::vector<double> label_heights(const Plot& plot, double lowest, double highest) {
  const auto scale = [&](double y) { return plot.log_y ? std::log(y) : y; };
  const double gap = (scale(highest) - scale(lowest)) * 0.055;
  std::vector<size_t> order(plot.curves.size());
  std::vector<double> heights(plot.curves.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    heights[i] = scale(plot.curves[i].points.back().second);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return heights[a] < heights[b]; });
  for (size_t i = 1; i < order.size(); ++i)
    heights[order[i]] = std::max(heights[order[i]], heights[order[i - 1]] + gap);
  for (double& height : heights) height = plot.log_y ? std::exp(height) : height;
  return heights;
}

void write_script(std::ostream& s, const Plot& plot) {
  double lowest = INFINITY, highest = -INFINITY;
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) {
      lowest = std::min(lowest, y);
      highest = std::max(highest, y);
    }
  }
  if (plot.log_y) {
    lowest *= 0.9;
    highest *= 1.12;
  } else {
    const double margin = 0.05 * (highest - lowest) + 1e-9;
    lowest -= margin;
    highest += margin;
  }
  s << std::setprecision(9);
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    s << "$curve" << i << " << EOD\n";
    for (const auto& [x, y] : plot.curves[i].points) s << x << ' ' << y << '\n';
    s << "EOD\n";
  }
  s << "set title " << quoted(plot.title, "''") << " font ',17' offset 0,0.5\n"
    << "set xlabel " << quoted(plot.x_label, "''") << " offset 0,-0.3\nset ylabel "
    << quoted(plot.y_label, "''") << "\nset logscale x 2\nset xrange ["
    << plot.x_ticks.front() / 1.15 << ':' << plot.x_ticks.back() * 1.15 << "]\nset yrange ["
    << lowest << ':' << highest << "]\n"
    << (plot.log_y
            ? "set logscale y 10\nset ytics add (2,3,5,7,15,20,30,40,50,70,150,200,300,500,700,"
              "1500,2000,3000,5000)\n"
            : "")
    << "set xtics (";
  for (size_t i = 0; i < plot.x_ticks.size(); ++i)
    s << (i ? ", " : "") << '"' << plot.x_ticks[i] << "\" " << plot.x_ticks[i];
  s << ")\nset grid xtics ytics linecolor rgb '#E4E4E4' linewidth 1 dashtype 1\n"
    << "set border 3 linecolor rgb '#808080'\nset tics nomirror textcolor rgb '#404040'\n"
    << "set rmargin 17\nset tmargin 4\nset bmargin 4\nunset key\n";
  if (plot.marked_x > 0)
    s << "set arrow from first " << plot.marked_x << ", graph 0 to first " << plot.marked_x
      << ", graph 1 nohead dashtype 2 linewidth 1.5 linecolor rgb '#606060' back\n"
      << "set label " << quoted(plot.mark_label, "''") << " at first " << plot.marked_x
      << ", graph 0.965 offset 0.8,0 textcolor rgb '#606060'\n";
  const std::vector<double> heights = label_heights(plot, lowest, highest);
  for (size_t i = 0; i < plot.curves.size(); ++i)
    s << "set label " << quoted(plot.curves[i].label, "''") << " at first "
      << plot.curves[i].points.back().first << ',' << heights[i] << " offset 1.6,0 noenhanced "
      << "textcolor rgb '" << kColours[i % std::size(kColours)] << "'\n";
  s << "plot ";
  for (size_t i = 0; i < plot.curves.size(); ++i)
    s << (i ? ", \\\n     " : "") << "$curve" << i << " with linespoints linewidth 2.5 pointtype 7 "
      << "pointsize 0.8 linecolor rgb '" << kColours[i % std::size(kColours)] << "'";
  s << '\n';
}

}  // namespace

bool write_plot(const std::filesystem::path& stem, const Plot& plot) {
  check(!plot.curves.empty() && !plot.x_ticks.empty(), "a plot needs curves and ticks");
  for (const Curve& curve : plot.curves) {
    check(!curve.points.empty(), "the curve ", curve.label, " has no points");
    for (const auto& [x, y] : curve.points)
      check(std::isfinite(x) && std::isfinite(y), "the curve ", curve.label, " has a point at ", x,
            ", ", y, "; it takes finite numbers only");
  }
  // Absolute, so that gnuplot takes no name for an option.
  const std::string script = std::filesystem::absolute(stem).string() + ".gp";
  write_file(script, [&](std::ostream& stream) { write_script(stream, plot); });
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) return false;
  for (const char* type : {"svg", "png"}) {
    const std::string picture = stem.string() + "." + type;
    // In single quotes gnuplot takes everything literally; in double ones it runs `commands`.
    const std::string settings =
        concat("set terminal ", type == std::string("svg") ? "svg" : "pngcairo",
               " size 960,600 font \"DejaVu Sans,13\" background \"#FFFFFF\"; set output ",
               quoted(picture, "''"));
    const std::string command =
        concat("gnuplot -e ", quoted(settings, "'\\''"), " ", quoted(script, "'\\''"), " >&2");
    const int status = std::system(command.c_str());
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, script, ": gnuplot failed on it");
  }
  return true;
}

}  // namespace farsight
