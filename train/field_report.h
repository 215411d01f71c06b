// Receptive fields and attention maps as tables, CSV files and pictures.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/attention_map.h"
#include "train/heat_map.h"
#include "train/plot.h"
#include "train/receptive_field.h"

namespace farsight {

/// The cumulative normalised gradient by number of newest tokens.
Plot field_plot(const NamedFields& fields, int64_t trained_length);

/// Heads by distance 0, 1, 2-3, 4-7, …, with the window that holds `share` of the attention.
HeatMap heat_map(const AttentionMap& map, double share);

/// Theoretical and empirical receptive field by model and length; all measured alike.
std::string field_table(const NamedFields& fields);

/// Writes field.csv, field_curves.csv and the picture of the curves, field.{svg,png}, with the
/// training length marked. Returns the files' names, a line each.
std::string write_field_report(const std::filesystem::path& folder, const NamedFields& fields,
                               int64_t trained_length);

/// The window that holds `share` of each head's attention, blocks by heads, at each length.
std::string window_table(const std::vector<AttentionMap>& maps, double share);

/// Writes attention.csv, windows.csv and, for each length, a heat map of where the heads look,
/// attention_LENGTH.{svg,png}. Returns the files' names, a line each.
std::string write_attention_report(const std::filesystem::path& folder,
                                   const std::vector<AttentionMap>& maps, double share);

}  // namespace farsight
