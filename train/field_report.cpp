// Tables and pictures of receptive fields and attention: see field_report.h.
#include "train/field_report.h"

#include <algorithm>
#include <bit>
#include <map>

#include "core/error.h"
#include "core/file.h"
#include "train/gnuplot.h"
#include "train/table.h"

namespace farsight {
namespace {

/// "99 %", "99.9 %".
std::string percent(double share) { return concat(100 * share, " %"); }

std::string write(const std::filesystem::path& path,
                  const std::function<void(std::ostream&)>& content) {
  write_file(path, content);
  return path.string() + "\n";
}

}  // namespace

Plot field_plot(const NamedFields& fields, int64_t trained_length) {
  Plot plot;
  plot.title = "Cumulative normalised gradient";
  plot.x_label = "newest tokens";
  plot.y_label = "share of the gradient";
  plot.marked_x = static_cast<double>(trained_length);
  plot.mark_label = "training length";
  plot.marks = false;
  plot.legend = true;
  const bool one_length = std::all_of(fields.begin(), fields.end(), [&](const auto& named) {
    return named.second.length == fields[0].second.length;
  });
  // A colour for each model, dashes for each length.
  std::map<std::string, int> colours;
  std::map<int64_t, int> dashes;
  for (const auto& [model, field] : fields) {
    Curve curve{one_length ? model : concat(model, ", ", field.length),
                {},
                colours.emplace(model, colours.size()).first->second,
                dashes.emplace(field.length, dashes.size()).first->second};
    double cumulative = 0;
    int64_t next = 1;  // points at about equal distances on the logarithmic axis
    for (int64_t tokens = 1; tokens <= field.length; ++tokens) {
      cumulative += field.share[tokens - 1];
      if (tokens < next && tokens < field.length) continue;
      curve.points.emplace_back(static_cast<double>(tokens), cumulative);
      next = std::max(tokens + 1, tokens * 103 / 100);
    }
    plot.curves.push_back(curve);
  }
  add_doubling_ticks(plot);
  return plot;
}

HeatMap heat_map(const AttentionMap& map, double share) {
  HeatMap picture;
  picture.title = concat("Attention by distance at length ", map.length);
  picture.x_label = "distance (tokens)";
  picture.y_label = "block.head";
  picture.value_label = "share of the head's attention";
  picture.note_label = percent(share) + " within";
  for (int64_t begin = 0; begin < map.length; begin = begin ? 2 * begin : 1) {
    const int64_t last = std::min(map.length, std::max<int64_t>(1, 2 * begin)) - 1;
    picture.columns.push_back(begin == last ? concat(begin) : concat(begin, "-", last));
  }
  for (const HeadAttention& head : map.heads) {
    HeatMap::Row row{concat(head.block, ".", head.head), concat(head.window(share)), {}};
    row.values.resize(picture.columns.size(), 0);
    for (int64_t d = 0; d < map.length; ++d)
      row.values[std::bit_width(static_cast<uint64_t>(d))] += head.mass[d];
    picture.rows.push_back(row);
  }
  return picture;
}

std::string field_table(const NamedFields& fields) {
  std::vector<std::vector<std::string>> rows(1, {"model", "length", "theoretical", "empirical"});
  for (const auto& [model, field] : fields)
    rows.push_back(
        {model, concat(field.length), concat(field.theoretical), concat(field.empirical)});
  const ReceptiveField& first = fields.at(0).second;
  return concat("Receptive field in tokens (", percent(first.threshold),
                " of the gradient, mean of ", first.sequences, " sequences)\n", aligned(rows));
}

std::string write_field_report(const std::filesystem::path& folder, const NamedFields& fields,
                               int64_t trained_length) {
  const auto stem = folder / "field";
  return write(folder / "field.csv", [&](auto& stream) { write_fields(stream, fields); }) +
         write(folder / "field_curves.csv",
               [&](auto& stream) { write_field_curves(stream, fields); }) +
         pictures_of(stem, write_plot(stem, field_plot(fields, trained_length)));
}

std::string window_table(const std::vector<AttentionMap>& maps, double share) {
  std::string text;
  for (const AttentionMap& map : maps) {
    std::vector<std::vector<std::string>> rows(1, {"block"});
    for (const HeadAttention& head : map.heads) {
      if (head.block == 1) rows[0].push_back(concat("head ", head.head));
      if (head.head == 1) rows.push_back({concat(head.block)});
      rows.back().push_back(concat(head.window(share)));
    }
    text += concat(text.empty() ? "" : "\n", "Tokens that hold ", percent(share),
                   " of the attention at length ", map.length, "\n", aligned(rows));
  }
  return text;
}

std::string write_attention_report(const std::filesystem::path& folder,
                                   const std::vector<AttentionMap>& maps, double share) {
  std::string files =
      write(folder / "attention.csv", [&](auto& stream) { write_attention(stream, maps); }) +
      write(folder / "windows.csv", [&](auto& stream) { write_windows(stream, maps, share); });
  for (const AttentionMap& map : maps) {
    const auto stem = folder / concat("attention_", map.length);
    files += pictures_of(stem, write_heat_map(stem, heat_map(map, share)));
  }
  return files;
}

}  // namespace farsight
