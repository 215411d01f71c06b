// Positional schemes: published values, and what holds for every registered scheme.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/tape.h"
#include "tests/catch.h"
#include "tests/small_model.h"
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

std::vector<real> losses_of(LanguageModel& model, const std::vector<int32_t>& tokens) {
  const int64_t T = static_cast<int64_t>(tokens.size()) - 1;
  const std::span all(tokens);
  return model.losses(Ids(all.first(T), cpu_backend()), Ids(all.subspan(1), cpu_backend()), 1)
      .to_vector();
}

std::vector<int32_t> small_tokens(int64_t count) {
  std::vector<int32_t> tokens(count);
  small_text(count).read(0, tokens);
  return tokens;
}

}  // namespace

TEST_CASE("ALiBi's slopes for twelve heads") {
  const double slopes[] = {.5,       .25,       .125,     .0625,    .03125,   .015625,
                           .0078125, .00390625, .7071068, .3535534, .1767767, .0883883};
  for (int head = 1; head <= 12; ++head)
    CHECK(std::fabs(bias_of("alibi", 12, head, 3) + 3 * slopes[head - 1]) < 1e-6);
}

TEST_CASE("Sandwich's sum of cosines by distance") {
  const std::pair<int64_t, double> values[] = {
      {0, 64},        {1, 62.0937},    {2, 57.3819},   {3, 52.1862},   {4, 48.5860},
      {8, 45.7205},   {16, 39.7017},   {32, 35.6778},  {64, 30.5201},  {100, 30.5435},
      {128, 21.2988}, {256, 20.5248},  {511, 13.5314}, {512, 14.0432}, {1024, 13.0843},
      {2048, 7.6342}, {4096, -3.3826}, {8191, -0.8367}};
  for (const auto& [distance, value] : values) {
    CHECK(std::fabs(bias_of("sandwich", 8, 1, distance) - value) < 1e-4);
    CHECK(std::fabs(bias_of("sandwich", 8, 4, distance) - value / 4) < 1e-4);
  }
}

TEST_CASE("Sandwich is the inner product of sinusoidal embeddings") {
  // sqrt(c_h) p_i · sqrt(c_h) p_j / sqrt(D), c_h = sqrt(D) H / (8h), p of width Dbar.
  const int64_t H = 4, h = 3, i = 75, j = 31, dbar = 128;
  double product = 0;
  for (int64_t pair = 0; pair < dbar / 2; ++pair) {
    const double frequency = std::pow(10000.0, -2.0 * pair / dbar);
    product += std::sin(i * frequency) * std::sin(j * frequency) +
               std::cos(i * frequency) * std::cos(j * frequency);
  }
  CHECK(std::fabs(bias_of("sandwich", H, h, i - j) - H / (8.0 * h) * product) < 1e-4);
}

TEST_CASE("Sandwich's factors: another for the first head, and falling by a ratio") {
  BiasOptions options;
  options.model.position = "sandwich";
  options.model.heads = 4;
  options.distances = {16};
  const auto check = [&](double first, double ratio, auto expected) {
    options.model.position_options = {{"sandwich-factor", first}, {"sandwich-ratio", ratio}};
    const auto rows = bias_table(options, cpu_backend());
    for (int head = 1; head <= 4; ++head)
      CHECK(std::fabs(rows[head - 1].bias - expected(head) * 39.7017) < 1e-4);
  };
  check(0, 0.3, [](int head) { return 0.5 * std::pow(0.3, head - 1); });
  check(0.25, 0, [](int head) { return 0.25 / head; });
  check(0.25, 0.3, [](int head) { return 0.25 * std::pow(0.3, head - 1); });
}

TEST_CASE("T5's buckets change where they should") {
  const int64_t first[] = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
  for (const int64_t distance : first) {
    CHECK(bias_of("t5", 2, 1, distance) != bias_of("t5", 2, 1, distance - 1));
    CHECK(bias_of("t5", 2, 1, distance) == bias_of("t5", 2, 1, distance + 1));
  }
  CHECK(bias_of("t5", 2, 2, 113) == bias_of("t5", 2, 2, 5000));
}

TEST_CASE("KERPLE's biases have the form of their formulas") {
  // -r1 ln(1 + r2 d): r1 and r2 follow from two distances, and must explain a third.
  const double a = bias_of("kerple_log", 3, 2, 10), b = bias_of("kerple_log", 3, 2, 100);
  double low = 1e-3, high = 1e3;  // r2 by bisection: b / a falls as r2 grows
  for (int i = 0; i < 100; ++i) {
    const double r2 = std::sqrt(low * high);
    (std::log1p(100 * r2) / std::log1p(10 * r2) > b / a ? low : high) = r2;
  }
  const double r1 = -a / std::log1p(10 * low);
  CHECK(r1 > 0);
  CHECK(bias_of("kerple_log", 3, 2, 1000) == Approx(-r1 * std::log1p(1000 * low)).epsilon(1e-3));
  CHECK(bias_of("kerple_log", 3, 2, 0) == 0);

  const double c = bias_of("kerple_power", 3, 2, 1), e = bias_of("kerple_power", 3, 2, 10);
  CHECK(c < 0);
  CHECK(bias_of("kerple_power", 3, 2, 100) == Approx(e * e / c).epsilon(1e-4));
  CHECK(bias_of("kerple_power", 3, 2, 0) == 0);
}

TEST_CASE("FIRE is a network of the relative distance, dense and in pieces") {
  const int64_t H = 3, T = 300;  // more queries than one piece of the bias has
  const auto scheme = make_position("fire", {12, H, 8, {}, &cpu_backend()});
  scheme->initialize(1);
  std::map<std::string, std::vector<real>> p;
  for (const Parameter& parameter : scheme->parameters())
    p[parameter.name] = parameter.tensor.to_vector();
  const double c = std::exp(p["log_c"][0]), L = std::exp(p["log_l"][0]);
  CHECK(c == Approx(0.1));
  CHECK(L == Approx(512));
  const auto expected = [&](int64_t h, int64_t i, int64_t j) {
    const double x = std::log1p(c * (i - j)) / std::log1p(c * std::max<double>(L, i));
    double y = p["down.bias"][h];
    for (int64_t n = 0; n < 32; ++n)
      y += p["down.weight"][h * 32 + n] * std::max(0.0, p["up.weight"][n] * x + p["up.bias"][n]);
    return y;
  };
  const auto check_rows = [&](const std::vector<real>& bias, int64_t begin, int64_t end) {
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = begin; i < end; i += 7)
        for (int64_t j = 0; j <= i; j += 11)
          CHECK(bias[(h * (end - begin) + i - begin) * end + j] ==
                Approx(expected(h, i, j)).margin(1e-5));
  };
  check_rows(scheme->bias({0, T}).values.to_vector(), 0, T);
  check_rows(scheme->bias({900, 905}).values.to_vector(), 900, 905);
  Tape tape;
  check_rows(scheme->bias({0, 40}).values.to_vector(), 0, 40);
}

TEST_CASE("xPos scores depend on distance alone, and fade") {
  const int64_t T = 60, D = 8;
  const auto xpos = make_position("xpos", {D, 1, T, {}, &cpu_backend()});
  std::vector<real> same(T * D, 1);
  Tensor q = Tensor::from({1, T, 1, D}, same, cpu_backend()), k = q;
  xpos->rotate(q, k, {0, T});
  const auto qs = q.to_vector(), ks = k.to_vector();
  const auto score = [&](int64_t i, int64_t j) {
    double total = 0;
    for (int64_t d = 0; d < D; ++d) total += qs[i * D + d] * ks[j * D + d];
    return total;
  };
  for (int64_t i = 9; i < T; ++i) CHECK(score(i, i - 9) == Approx(score(9, 0)).epsilon(1e-4));
  // Both members of a pair are 1, so that it gives 2 cos(9 f) z^(9/512).
  double expected = 0;
  for (int64_t pair = 0; pair < D / 2; ++pair)
    expected += 2 * std::cos(9 * std::pow(10000.0, -2.0 * pair / D)) *
                std::pow((2.0 * pair / D + 0.4) / 1.4, 9.0 / 512);
  CHECK(score(9, 0) == Approx(expected).epsilon(1e-4));
  LanguageModel model(small_model("xpos"), 1, cpu_backend());
  CHECK(contains(error_of([&] { model.require_reach(40000); }), "has 32768 positions"));
}

TEST_CASE("a table of learned biases shows what a run with its seed starts from") {
  BiasOptions options;
  options.model = small_model("t5");
  options.distances = {0};
  options.seed = 5;
  const LanguageModel model(options.model, options.seed, cpu_backend());
  const auto parameters = model.parameters();
  const auto table = std::find_if(parameters.begin(), parameters.end(),
                                  [](const Parameter& p) { return p.name == "position.weight"; });
  REQUIRE(table != parameters.end());
  CHECK(bias_table(options, cpu_backend())[0].bias == table->tensor.to_vector()[0]);
}

TEST_CASE("a scheme without a bias has no table of it") {
  CHECK(contains(error_of([] { bias_of("rotary", 4, 1, 1); }), "adds no bias"));
  CHECK(contains(error_of([] { bias_of("rotery", 4, 1, 1); }), "no positional scheme 'rotery'"));
}

TEST_CASE("every scheme: an untrained model knows nothing") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    LanguageModel model(small_model(entry->name), 1, cpu_backend());
    double total = 0;
    for (const real loss : losses_of(model, small_tokens(9))) total += loss;
    INFO(entry->name);
    CHECK(total / 8 == Approx(std::log(13)).epsilon(0.1));
  }
}

TEST_CASE("every scheme: a later token changes nothing before it") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    ModelConfig config = small_model(entry->name);
    config.length = 150;  // more than one tile of attention
    LanguageModel model(config, 1, cpu_backend());
    std::vector<int32_t> tokens = small_tokens(151);
    const std::vector<real> before = losses_of(model, tokens);
    const size_t changed = 97;
    tokens[changed] = (tokens[changed] + 5) % 13;
    const std::vector<real> after = losses_of(model, tokens);
    INFO(entry->name);
    // The loss at i predicts token i + 1 from tokens 0 … i.
    CHECK(std::equal(before.begin(), before.begin() + changed - 1, after.begin()));
    CHECK(before[changed + 1] != after[changed + 1]);
  }
}

TEST_CASE("every scheme reaches past its training length, or says that it cannot") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    LanguageModel model(small_model(entry->name), 1, cpu_backend());
    std::vector<real> losses;
    const std::string error = error_of([&] { losses = losses_of(model, small_tokens(70)); });
    INFO(entry->name << ": " << error);
    if (entry->name == "learned") {
      CHECK(contains(error, "has 8 positions and cannot reach 69"));
    } else {
      CHECK(error.empty());
      for (const real loss : losses) CHECK(std::isfinite(loss));
    }
  }
}

TEST_CASE("windows limit what a model of several blocks can see") {
  ModelConfig config = small_model("alibi");
  config.windows = {3};
  LanguageModel model(config, 1, cpu_backend());
  std::vector<int32_t> tokens = small_tokens(31);
  const std::vector<real> before = losses_of(model, tokens);
  tokens[10] = (tokens[10] + 1) % 13;
  const std::vector<real> after = losses_of(model, tokens);
  const size_t reach = 2 * (3 - 1);  // R blocks see R (w - 1) tokens back
  CHECK(before[10 + reach] != after[10 + reach]);
  CHECK(std::equal(before.begin() + 10 + reach + 1, before.end(), after.begin() + 10 + reach + 1));
}

}  // namespace farsight
