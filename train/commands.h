// The program's commands: each a thin layer over the library that does its job.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/token_source.h"

namespace farsight {

/// Opens a token file as the training code sees it.
using OpenTokens = std::function<TokenSource(const std::filesystem::path&)>;

/// train, sweep, eval, compare and report. `status` becomes the program's exit status.
void add_training_commands(CLI::App& program, const OpenTokens& open, int& status);

/// field, attention, cost, schemes, bias and bench.
void add_analysis_commands(CLI::App& program, const OpenTokens& open);

/// Throws Error if a length is there twice.
void require_different(std::vector<int64_t> lengths);

/// Creates the folder that results are to go into, before they are computed; "" = none. Throws
/// Error if it cannot be.
void prepare_folder(const std::string& folder);

/// Writes to a file, or to standard output where `path` is "-".
void write_result(const std::string& path, const std::function<void(std::ostream&)>& write);

}  // namespace farsight
