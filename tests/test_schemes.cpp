// The fixed schemes against the published formulas' values.
#include <cmath>

#include "tests/catch.h"
#include "train/bias_table.h"

namespace farsight {
namespace {

double bias_of(const std::string& scheme, int64_t heads, int64_t head, int64_t distance) {
  BiasOptions options;
  options.model.position = scheme;
  options.model.heads = heads;
  options.distances = {distance};
  return bias_table(options, cpu_backend()).at(head - 1).bias;
}

TEST_CASE("ALiBi's slopes for twelve heads") {
  const double slopes[] = {.5,       .25,       .125,       .0625,    .03125,   .015625,
                           .0078125, .00390625, .7071068,   .3535534, .1767767, .0883883};
  for (int head = 1; head <= 12; ++head)
    CHECK(std::fabs(bias_of("alibi", 12, head, 3) + 3 * slopes[head - 1]) < 1e-6);
}

TEST_CASE("Sandwich's sum of cosines by distance") {
  const std::pair<int64_t, double> values[] = {{0, 64},         {1, 62.0937},    {4, 48.5860},
                                               {100, 30.5435},  {512, 14.0432},  {2048, 7.6342},
                                               {4096, -3.3826}, {8191, -0.8367}};
  for (const auto& [distance, value] : values) {
    CHECK(std::fabs(bias_of("sandwich", 8, 1, distance) - value) < 1e-4);
    CHECK(std::fabs(bias_of("sandwich", 8, 4, distance) - value / 4) < 1e-4);
  }
}

}  // namespace
}  // namespace farsight
