// Line plots: see plot.h. Colours are Okabe and Ito's, which colour-blind readers can tell apart.
#include "train/plot.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>

#include "core/error.h"
#include "train/gnuplot.h"

namespace farsight {
namespace {

constexpr const char* kColours[] = {"#D55E00", "#0072B2", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000", "#999933"};
/// gnuplot's filled circle, square, triangles and diamond; with the colours, forty different pairs.
constexpr int kMarks[] = {7, 5, 9, 11, 13};

/// The y axis, from `lowest` to `highest`.
struct Axis {
  double lowest, highest;
  bool logarithmic;

  /// How high y stands, as a share of the axis.
  double share(double y) const {
    const auto scale = [&](double value) { return logarithmic ? std::log(value) : value; };
    return (scale(y) - scale(lowest)) / (scale(highest) - scale(lowest));
  }
};

Axis axis_of(const Plot& plot) {
  double lowest = INFINITY, highest = -INFINITY;
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) {
      lowest = std::min(lowest, y);
      highest = std::max(highest, y);
    }
  }
  if (plot.log_y) {
    const double factor = std::max(1.01, std::pow(highest / lowest, 0.05));
    return {lowest / factor, highest * factor, true};
  }
  const double margin = highest > lowest ? 0.05 * (highest - lowest) : 1;
  return {lowest - margin, highest + margin, false};
}

/// Round numbers on a logarithmic axis: evenly spaced ones where it spans less than a factor of
/// four, else the roundest ones of each decade that there is room for.
std::vector<double> log_ticks(const Axis& axis) {
  std::vector<double> ticks;
  if (axis.highest < 4 * axis.lowest) {
    const double least = (axis.highest - axis.lowest) / 8;
    double step = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {2.0, 2.5, 2.0})  // to 2, 5 and 10 times the power of ten
      if (step < least) step *= factor;
    for (double i = std::ceil(axis.lowest / step); i * step <= axis.highest; ++i)
      ticks.push_back(i * step);
    return ticks;
  }
  for (const double digit : {1.0, 5.0, 2.0, 3.0, 7.0, 1.5, 4.0}) {
    for (double power = std::floor(std::log10(axis.lowest)); power <= std::log10(axis.highest);
         ++power) {
      const double tick = digit * std::pow(10, power), share = axis.share(tick);
      const bool room = std::none_of(ticks.begin(), ticks.end(), [&](double other) {
        return std::fabs(axis.share(other) - share) < 0.055;
      });
      if (room && share >= 0 && share <= 1) ticks.push_back(tick);
    }
  }
  return ticks;
}

/// How high each curve's label stands, as a share of the axis: beside the curve's last point, or as
/// near to it as leaves all labels apart and inside. Labels that would come too close form a group
/// around the mean of their points, which takes in the next group if it reaches that.
std::vector<double> label_shares(const Plot& plot, const Axis& axis) {
  const size_t count = plot.curves.size();
  const double margin = 0.02, gap = std::min(0.05, (1 - 2 * margin) / count);
  std::vector<double> shares;
  for (const Curve& curve : plot.curves) shares.push_back(axis.share(curve.points.back().second));
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return shares[a] < shares[b]; });
  struct Group {
    double bottom;  // of its lowest label
    size_t count;
  };
  std::vector<Group> groups;
  for (const size_t curve : order) {
    Group group{shares[curve], 1};
    while (!groups.empty() && group.bottom < groups.back().bottom + groups.back().count * gap) {
      const Group below = groups.back();
      groups.pop_back();
      group.bottom =
          (below.count * below.bottom + group.count * (group.bottom - below.count * gap)) /
          (below.count + group.count);
      group.count += below.count;
    }
    groups.push_back(group);
  }
  size_t rank = 0;
  for (const Group& group : groups) {
    for (size_t i = 0; i < group.count; ++i, ++rank) {
      // So many labels are below and above this one.
      const double low = margin + rank * gap, high = 1 - margin - (count - 1 - rank) * gap;
      shares[order[rank]] = std::clamp(group.bottom + i * gap, low, high);
    }
  }
  return shares;
}

void write_axes(std::ostream& s, const Plot& plot, const Axis& axis) {
  double left = plot.x_ticks.front(), right = plot.x_ticks.back();
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) {
      left = std::min(left, x);
      right = std::max(right, x);
    }
  }
  const auto list = [&](const char* name, const std::vector<double>& ticks) {
    s << "set " << name << " (";
    for (size_t i = 0; i < ticks.size(); ++i)
      s << (i ? ", " : "") << '"' << ticks[i] << "\" " << ticks[i];
    s << ")\n";
  };
  s << "set title " << gnuplot_text(plot.title) << " font ',17' offset 0,1\n"
    << "set xlabel " << gnuplot_text(plot.x_label) << " offset 0,-0.3\nset ylabel "
    << gnuplot_text(plot.y_label) << "\nset logscale x 2\nset xrange [" << left / 1.15 << ':'
    << right * 1.15 << "]\nset yrange [" << axis.lowest << ':' << axis.highest << "]\n";
  // Numbers that would touch each other stand at a slant.
  bool crowded = false;
  for (size_t i = 1; i < plot.x_ticks.size(); ++i)
    crowded = crowded || std::log(plot.x_ticks[i] / plot.x_ticks[i - 1]) <
                             0.08 * std::log(plot.x_ticks.back() / plot.x_ticks.front());
  list(crowded ? "xtics rotate by -45" : "xtics", plot.x_ticks);
  if (plot.log_y) {
    s << "set logscale y\n";
    list("ytics", log_ticks(axis));
  }
  size_t longest = 0;
  for (const Curve& curve : plot.curves) longest = std::max(longest, curve.label.size());
  // A letter of a label takes less than a margin's unit.
  const size_t margin = (plot.legend ? 9 : 4) + 17 * std::min<size_t>(longest, 40) / 20;
  s << "set grid xtics ytics linetype 1 linecolor rgb '#E0E0E0' linewidth 1\n"
    << "set border 3 linecolor rgb '#808080'\nset tics nomirror textcolor rgb '#404040'\n"
    << "set rmargin " << margin << "\nset tmargin 5\nset bmargin " << (crowded ? 5 : 4)
    << (plot.legend ? "\nset key at graph 1.02, graph 1 left top Left reverse samplen 2\n"
                    : "\nunset key\n");
  if (plot.marked_x > 0)
    s << "set arrow from first " << plot.marked_x << ", graph 0 to first " << plot.marked_x
      << ", graph 1 nohead dashtype 2 linewidth 1.5 linecolor rgb '#606060' back\n"
      << "set label " << gnuplot_text(plot.mark_label) << " at first " << plot.marked_x
      << ", graph 1.035 center textcolor rgb '#606060'\n";
}

void write_script(std::ostream& s, const Plot& plot) {
  const Axis axis = axis_of(plot);
  s << std::setprecision(9);
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    s << "$curve" << i << " << EOD\n";
    for (const auto& [x, y] : plot.curves[i].points) s << x << ' ' << y << '\n';
    s << "EOD\n";
  }
  write_axes(s, plot, axis);
  const auto colour_index = [&](size_t i) {
    return plot.curves[i].colour < 0 ? i : static_cast<size_t>(plot.curves[i].colour);
  };
  const auto colour = [&](size_t i) {
    return concat("rgb '", kColours[colour_index(i) % std::size(kColours)], "'");
  };
  const auto dashes = [&](size_t i) {
    return plot.curves[i].dashes < 0 ? colour_index(i) / std::size(kColours)
                                     : static_cast<size_t>(plot.curves[i].dashes);
  };
  const std::vector<double> shares = label_shares(plot, axis);
  for (size_t i = 0; !plot.legend && i < plot.curves.size(); ++i) {
    const auto& [x, y] = plot.curves[i].points.back();
    // A thin line leads from the point to its label.
    s << "set arrow from first " << x << ", graph " << axis.share(y) << " to graph 1.01, graph "
      << shares[i] << " nohead linewidth 1 linecolor " << colour(i) << '\n'
      << "set label " << gnuplot_text(plot.curves[i].label) << " at graph 1.02, graph " << shares[i]
      << " textcolor " << colour(i) << '\n';
  }
  s << "plot ";
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    s << (i ? ", \\\n     " : "") << "$curve" << i << " title "
      << gnuplot_text(plot.curves[i].label) << " with " << (plot.marks ? "linespoints" : "lines")
      << " linewidth 2.5 ";
    if (plot.marks)
      s << "pointtype " << kMarks[i % std::size(kMarks)] << " pointsize 1 ";
    else
      s << "dashtype " << dashes(i) + 1 << ' ';
    s << "linecolor " << colour(i);
  }
  s << '\n';
}

void require_drawable(const Plot& plot) {
  check(!plot.curves.empty() && !plot.x_ticks.empty(), "a plot needs curves and ticks");
  for (const Curve& curve : plot.curves) {
    check(!curve.points.empty(), "the curve ", curve.label, " has no points");
    for (const auto& [x, y] : curve.points)
      check(std::isfinite(x) && std::isfinite(y) && x > 0, "the curve ", curve.label,
            " has a point at ", x, ", ", y, "; it takes finite numbers only, x above 0");
  }
}

}  // namespace

void add_doubling_ticks(Plot& plot) {
  double low = INFINITY, high = 0;
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  check(low > 0, plot.title, ": there is a point at ", low, " of a logarithmic axis");
  for (double tick = std::exp2(std::ceil(std::log2(low))); tick <= high; tick *= 2)
    plot.x_ticks.push_back(tick);
  if (plot.x_ticks.empty()) plot.x_ticks.push_back(high);
}

bool write_plot(const std::filesystem::path& stem, const Plot& plot) {
  require_drawable(plot);
  return draw(stem, [&](std::ostream& stream) { write_script(stream, plot); });
}

std::string svg_of(const Plot& plot) {
  require_drawable(plot);
  return drawn_svg([&](std::ostream& stream) { write_script(stream, plot); });
}

}  // namespace farsight
