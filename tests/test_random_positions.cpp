// Schemes that draw their positions in training: CAPE, SHAPE and randomised positions.
#include <algorithm>
#include <cmath>

#include "nn/position.h"
#include "tests/catch.h"

namespace farsight {

TEST_CASE("schemes with random positions draw them in training alone, for each sequence") {
  const int64_t T = 8, C = 6;
  for (const std::string name : {"shifted", "cape", "randomised"}) {
    const auto scheme = make_position(name, {C, 1, T, {}, &cpu_backend()});
    const auto plain = make_position("sinusoidal", {C, 1, T, {}, &cpu_backend()});
    INFO(name);
    CHECK(scheme->embed({0, T}).to_vector() == plain->embed({0, T}).to_vector());
    Positions training{0, T, nullptr, 2, Stream{3, 4}};
    const Tensor drawn = scheme->embed(training);
    REQUIRE(drawn.shape() == Shape({2, T, C}));
    const auto values = drawn.to_vector();
    const std::vector<real> first(values.begin(), values.begin() + T * C);
    const std::vector<real> second(values.begin() + T * C, values.end());
    CHECK(first != second);
    CHECK(scheme->embed(training).to_vector() == values);
    training.training->stream = 5;
    CHECK(scheme->embed(training).to_vector() != values);
    CHECK(scheme->embed({0, T}).to_vector() == plain->embed({0, T}).to_vector());
  }
  // SHAPE's rows are sinusoidal ones further on, the same number of tokens for all.
  const auto shape = make_position("shifted", {C, 1, T, {{"shifted-most", 40}}, &cpu_backend()});
  const auto rows = shape->embed({0, T, nullptr, 1, Stream{3, 4}}).to_vector();
  const auto plain = make_position("sinusoidal", {C, 1, T, {}, &cpu_backend()});
  const auto longer = plain->embed({0, T + 40}).to_vector();
  int found = 0;
  for (int64_t shift = 0; shift <= 40; ++shift)
    found += std::equal(rows.begin(), rows.end(), longer.begin() + shift * C);
  CHECK(found == 1);
}

TEST_CASE("CAPE shifts, scales and jitters within its bounds") {
  // The second pair of a width of 4 turns by 0.01 radians per token: places show up to ±314.
  const int64_t T = 5, C = 4, B = 2000;
  const auto places = [&](double shift, double scale) {
    const auto cape = make_position(
        "cape", {C, 1, T, {{"cape-shift", shift}, {"cape-scale", scale}}, &cpu_backend()});
    const auto rows = cape->embed({0, T, nullptr, B, Stream{1, 2}}).to_vector();
    std::vector<double> result(B * T);
    for (int64_t i = 0; i < B * T; ++i)
      result[i] = 100 * std::atan2(rows[i * C + 2], rows[i * C + 3]);
    return result;
  };
  const auto extremes = [](const std::vector<double>& values) {
    return std::pair(*std::min_element(values.begin(), values.end()),
                     *std::max_element(values.begin(), values.end()));
  };
  std::vector<double> jitter = places(0, 1), shift = places(30, 1), ratio;
  const std::vector<double> scaled = places(0, 3);
  for (int64_t i = 0; i < B * T; ++i) {
    jitter[i] -= i % T;
    shift[i] -= i % T;
    // The jitter is drawn behind shift and scale, and so the same whatever their bounds.
    ratio.push_back(scaled[i] / (i % T + jitter[i]));
  }
  CHECK(extremes(jitter).first == Approx(-0.5).margin(0.01));
  CHECK(extremes(jitter).second == Approx(0.5).margin(0.01));
  CHECK(extremes(shift).first == Approx(-30).margin(0.7));
  CHECK(extremes(shift).second == Approx(30).margin(0.7));
  CHECK(extremes(ratio).first == Approx(1. / 3).margin(0.01));
  CHECK(extremes(ratio).second == Approx(3).margin(0.1));
  // One shift for a sequence: its places differ from it by jitter alone.
  for (int64_t i = 0; i < B * T; ++i) CHECK(std::fabs(shift[i] - shift[i / T * T]) < 1.01);
}

TEST_CASE("randomised positions are a sorted subset, all equally likely") {
  const int64_t T = 3, reach = 6, C = 2;
  const auto scheme =
      make_position("randomised", {C, 1, T, {{"randomised-reach", reach}}, &cpu_backend()});
  const int64_t B = 6000;
  const auto rows = scheme->embed({0, T, nullptr, B, Stream{1, 2}}).to_vector();
  std::vector<double> chosen(reach);
  for (int64_t b = 0; b < B; ++b) {
    double before = -1;
    for (int64_t t = 0; t < T; ++t) {
      // The first pair turns by one radian per token.
      double place = std::atan2(rows[(b * T + t) * C], rows[(b * T + t) * C + 1]);
      if (place < -0.5) place += 2 * 3.14159265;
      CHECK(place > before + 0.9);
      before = place;
      chosen[std::llround(place)] += 1.0 / static_cast<double>(B);
    }
  }
  for (const double share : chosen) CHECK(share == Approx(0.5).margin(0.03));
}

}  // namespace farsight
