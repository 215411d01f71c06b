// Loss by position: see position_report.h.
#include "train/position_report.h"

#include "core/error.h"
#include "core/file.h"
#include "train/gnuplot.h"

namespace farsight {

Plot position_plot(const std::string& title, int64_t trained_length) {
  Plot plot;
  plot.title = title;
  plot.x_label = "tokens before the target";
  plot.y_label = "mean loss (nats)";
  plot.marked_x = static_cast<double>(trained_length);
  plot.mark_label = "training length";
  plot.marks = false;
  return plot;
}

std::string write_position_report(const std::filesystem::path& folder,
                                  const std::vector<Evaluation>& evaluations,
                                  int64_t trained_length) {
  Plot plot = position_plot("Loss by position in the window", trained_length);
  for (const Evaluation& e : evaluations) {
    Curve curve;
    curve.label = concat("length ", e.length);
    for (const PositionBucket& bucket : e.by_position)
      curve.points.emplace_back(static_cast<double>(bucket.max_context - 1), bucket.loss);
    plot.curves.push_back(curve);
  }
  add_doubling_ticks(plot);

  const auto csv = folder / "position.csv", stem = folder / "position";
  write_file(csv, [&](auto& stream) { write_by_position(stream, evaluations); });
  return csv.string() + "\n" + pictures_of(stem, write_plot(stem, plot));
}

}  // namespace farsight
