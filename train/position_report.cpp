// Loss by position: see position_report.h.
#include "train/position_report.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "train/gnuplot.h"
#include "train/plot.h"

namespace farsight {

std::string write_position_report(const std::filesystem::path& folder,
                                  const std::vector<Evaluation>& evaluations,
                                  int64_t trained_length) {
  Plot plot;
  plot.title = "Loss by position in the window";
  plot.x_label = "tokens before the target";
  plot.y_label = "mean loss (nats)";
  plot.marked_x = static_cast<double>(trained_length);
  plot.mark_label = "training length";
  plot.marks = false;
  int64_t longest = 1;
  for (const Evaluation& e : evaluations) {
    longest = std::max(longest, e.length);
    Curve curve{concat("length ", e.length), {}, -1, 0};
    for (const PositionBucket& bucket : e.by_position)
      curve.points.emplace_back(static_cast<double>(bucket.max_context - 1), bucket.loss);
    plot.curves.push_back(curve);
  }
  for (double tick = 1; tick <= static_cast<double>(longest); tick *= 2)
    plot.x_ticks.push_back(tick);

  const auto csv = folder / "position.csv", stem = folder / "position";
  write_file(csv, [&](auto& stream) { write_by_position(stream, evaluations); });
  return csv.string() + "\n" + pictures_of(stem, write_plot(stem, plot));
}

}  // namespace farsight
