// A report: one page that shows what runs came to, with every number inside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace farsight {

/// Writes an HTML page about the runs in these folders: what was trained, training curves,
/// perplexity and recall beyond the training length, receptive fields, loss by position, where
/// heads look and what contexts cost, as far as the folders hold it (`farsight sweep` leaves all
/// but the costs, `farsight cost --out RUN` those). Throws Error, and writes nothing, if a folder
/// has no checkpoint or no evaluation, a file is damaged, runs were evaluated differently, or
/// gnuplot is not installed.
void write_report(const std::vector<std::filesystem::path>& folders,
                  const std::filesystem::path& page, const std::string& title);

}  // namespace farsight
