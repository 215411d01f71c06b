// A positional scheme's bias as a table, to look at or to compare with a formula.
#pragma once

#include <ostream>
#include <vector>

#include "train/config.h"

namespace farsight {

struct BiasOptions {
  ModelConfig model;  // of which the scheme, its options and the heads count
  std::vector<int64_t> distances{0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  uint64_t seed = 1;  // of a scheme's initial parameters
};

struct BiasRow {
  int64_t head, distance;  // heads from 1
  double bias;
};

/// --position, --heads, --distances, --seed and the schemes' own options.
void add_bias_options(CLI::App& app, BiasOptions& options);

/// The bias of each head at each distance, as an untrained model has it: for a dense bias, of the
/// newest query. Throws Error if the scheme has none.
std::vector<BiasRow> bias_table(const BiasOptions& options, Backend& backend);

/// head,distance,bias
void write_bias_table(std::ostream& stream, const std::vector<BiasRow>& rows);

}  // namespace farsight
