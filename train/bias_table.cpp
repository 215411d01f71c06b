// The bias table: see bias_table.h.
#include "train/bias_table.h"

#include <algorithm>
#include <iomanip>

#include "core/error.h"
#include "train/memory.h"

namespace farsight {

void add_bias_options(CLI::App& app, BiasOptions& options) {
  app.add_option("--position", options.model.position, "positional scheme")->required();
  app.add_option("--heads", options.model.heads, "attention heads")->required();
  app.add_option("--distances", options.distances, "distances in tokens")->delimiter(',');
  app.add_option("--seed", options.seed,
                 "seed of a run whose learned biases, before its first step, are shown")
      ->capture_default_str();
  for (const PositionEntry* entry : PositionEntry::all()) {
    for (const PositionOption& option : entry->options)
      app.add_option(
             "--" + option.name,
             options.model.position_options.emplace(option.name, option.value).first->second,
             option.description)
          ->capture_default_str();
  }
}

std::vector<BiasRow> bias_table(const BiasOptions& options, Backend& backend) {
  const int64_t H = options.model.heads;
  check(H > 0 && H <= 4096, "heads must be 1 to 4096, not ", H);
  check(!options.distances.empty(), "no distances; pass for example --distances 0,1,2,4");
  const auto [nearest, farthest] =
      std::minmax_element(options.distances.begin(), options.distances.end());
  constexpr int64_t kFarthest = 1 << 24;
  check(*nearest >= 0 && *farthest <= kFarthest, "distances must be in 0 … ", kFarthest, ", not ",
        *nearest < 0 ? *nearest : *farthest);

  require_memory(3.0 * sizeof(real) * static_cast<double>(H) * static_cast<double>(*farthest + 1),
                 backend, "this table");

  constexpr int64_t kHeadWidth = 2;  // no scheme's bias depends on it
  const int64_t T = *farthest + 1;
  const auto scheme = make_position(
      options.model.position, {kHeadWidth * H, H, T, options.model.position_options, &backend});
  scheme->initialize(options.seed, "position.");  // as inside a model
  const Tensor values = scheme->bias({T - 1, T}).values;
  check(values.defined(), "the scheme '", options.model.position,
        "' adds no bias to the scores; see `farsight schemes`");

  const std::vector<real> all = values.to_vector();
  const int64_t per_head = values.size() / H;
  std::vector<BiasRow> rows;
  for (int64_t h = 0; h < H; ++h) {
    // A dense bias has one row here, the newest query's; the newest key is its last entry.
    for (const int64_t d : options.distances)
      rows.push_back({h + 1, d, static_cast<double>(all[(h + 1) * per_head - 1 - d])});
  }
  return rows;
}

void write_bias_table(std::ostream& stream, const std::vector<BiasRow>& rows) {
  stream << "head,distance,bias\n" << std::setprecision(9);
  for (const BiasRow& row : rows)  // + 0.0 turns -0 into 0
    stream << row.head << ',' << row.distance << ',' << row.bias + 0.0 << '\n';
}

}  // namespace farsight
