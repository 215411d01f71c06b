// Heat maps: see heat_map.h. The colours run from white through blue to near black, so that equal
// steps look equal, also in grey.
#include "train/heat_map.h"

#include "core/error.h"
#include "train/gnuplot.h"

namespace farsight {
namespace {

/// The labels of an axis at 0, 1, 2, …; of many, every so many-th.
void write_tics(std::ostream& s, const char* axis, const std::vector<std::string>& labels,
                size_t most) {
  const size_t step = (labels.size() + most - 1) / most;
  s << "set " << axis << " (";
  for (size_t i = 0; i < labels.size(); i += step)
    s << (i ? ", " : "") << gnuplot_text(labels[i]) << ' ' << i;
  s << ")\n";
}

void write_script(std::ostream& s, const HeatMap& map) {
  const size_t rows = map.rows.size(), columns = map.columns.size();
  s << "$map << EOD\n";
  std::vector<std::string> row_labels;
  for (const HeatMap::Row& row : map.rows) {
    row_labels.push_back(row.label);
    for (const double value : row.values) s << value << ' ';
    s << '\n';
  }
  s << "EOD\nset title " << gnuplot_text(map.title) << " font ',17' offset 0,1\nset xlabel "
    << gnuplot_text(map.x_label) << "\nset ylabel " << gnuplot_text(map.y_label) << "\nset cblabel "
    << gnuplot_text(map.value_label) << " offset 1,0\nset xrange [-0.5:" << columns - 0.5
    << "]\nset yrange [" << rows - 0.5 << ":-0.5]\nset cbrange [0:1]\n"
    << "set palette defined (0 '#FFFFFF', 0.25 '#B5D4E9', 0.5 '#5BA3CF', 0.75 '#1F6EB3', "
       "1 '#08205C')\n"
    << "set tics out nomirror\nset border linecolor rgb '#808080'\nunset key\nset tmargin 5\n"
    << "set rmargin 22\nset colorbox user origin graph 1.16, graph 0 size graph 0.02, graph 1\n";
  write_tics(s, "xtics rotate by -45", map.columns, 24);
  write_tics(s, "ytics", row_labels, 32);
  s << "set label " << gnuplot_text(map.note_label) << " at graph 1.01, graph 1.035 left\n";
  const size_t step = (rows + 31) / 32;
  for (size_t i = 0; i < rows; i += step)
    s << "set label " << gnuplot_text(map.rows[i].note) << " at graph 1.015, first " << i
      << " left textcolor rgb '#404040'\n";
  s << "plot $map matrix with image pixels\n";
}

void require_drawable(const HeatMap& map) {
  check(!map.rows.empty() && !map.columns.empty(), "a heat map needs rows and columns");
  for (const HeatMap::Row& row : map.rows)
    check(row.values.size() == map.columns.size(), "the row ", row.label, " has ",
          row.values.size(), " values for ", map.columns.size(), " columns");
}

}  // namespace

bool write_heat_map(const std::filesystem::path& stem, const HeatMap& map) {
  require_drawable(map);
  return draw(stem, [&](std::ostream& stream) { write_script(stream, map); });
}

std::string svg_of(const HeatMap& map) {
  require_drawable(map);
  return drawn_svg([&](std::ostream& stream) { write_script(stream, map); });
}

}  // namespace farsight
