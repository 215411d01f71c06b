// Loss by position in the window, as CSV and picture: where a model breaks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/evaluate.h"
#include "train/plot.h"

namespace farsight {

/// An empty plot of loss against the number of tokens before the target.
Plot position_plot(const std::string& title, int64_t trained_length);

/// Writes position.csv and position.{svg,png} with one curve per length and the training length
/// marked. Returns the files' names, a line each.
std::string write_position_report(const std::filesystem::path& folder,
                                  const std::vector<Evaluation>& evaluations,
                                  int64_t trained_length);

}  // namespace farsight
