// Generation: what is drawn, and under which windows.
#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "train/generate.h"
#include "train/windows.h"

namespace farsight {
namespace {

GenerateOptions drawing(double temperature, int64_t top_k, double top_p) {
  GenerateOptions options;
  options.temperature = temperature;
  options.top_k = top_k;
  options.top_p = top_p;
  return options;
}

/// How often each token is drawn, as a share.
std::vector<double> shares(const std::vector<real>& logits, const GenerateOptions& options) {
  std::vector<double> result(logits.size());
  const int64_t draws = 20000;
  for (int64_t i = 0; i < draws; ++i) result[draw_token(logits, options, i)] += 1.0 / draws;
  return result;
}

std::vector<int32_t> generated(LanguageModel& model, const std::vector<int32_t>& prompt,
                               const GenerateOptions& options) {
  std::vector<int32_t> tokens;
  generate(model, prompt, options, [&](int32_t token) {
    tokens.push_back(token);
    return true;
  });
  return tokens;
}

LanguageModel::Windows windows_of(const std::string& scheme, const std::string& window,
                                  int64_t length = 3000, int64_t heads = 8) {
  ModelConfig config = small_model(scheme);
  config.heads = heads;
  LanguageModel model(config, 1, cpu_backend());
  const TokenSource text = small_text(4000);
  choose_windows(model, {window, 1e-4}, length, &text);
  return model.windows();
}

}  // namespace

TEST_CASE("tokens are drawn by their probability") {
  // Probabilities .5, .25, .125, .125 in another order.
  std::vector<real> logits;
  for (const double p : {.125, .5, .125, .25}) logits.push_back(static_cast<real>(std::log(p)));
  const auto all = shares(logits, drawing(1, 0, 1));
  CHECK(all[1] == Approx(.5).margin(.01));
  CHECK(all[3] == Approx(.25).margin(.01));
  CHECK(all[0] == Approx(.125).margin(.01));
  const auto sharper = shares(logits, drawing(.5, 0, 1));  // squares, normalised
  CHECK(sharper[1] == Approx(.25 / .34375).margin(.01));
  const auto two = shares(logits, drawing(1, 2, 1));
  CHECK(two[1] == Approx(2. / 3).margin(.01));
  CHECK(two[0] + two[2] == 0);
  const auto held = shares(logits, drawing(1, 0, .8));  // .5 + .25 is not enough
  CHECK(held[2] == 0);                                  // of equal ones, the first goes first
  CHECK(held[0] == Approx(1. / 7).margin(.01));
  CHECK(shares(logits, drawing(1, 0, .5))[1] == Approx(1));
  CHECK(shares(logits, drawing(0, 0, 1))[1] == Approx(1));
  CHECK(draw_token({2, 3, 3}, drawing(0, 0, 1), 0) == 1);
}

TEST_CASE("generation depends on its seed alone, and goes past the training length") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  GenerateOptions options;
  options.tokens = 40;
  const auto first = generated(model, {1, 2, 3}, options);
  CHECK(first.size() == 40);
  CHECK(std::all_of(first.begin(), first.end(), [](int32_t t) { return t >= 0 && t < 13; }));
  CHECK(generated(model, {1, 2, 3}, options) == first);
  options.seed = 2;
  CHECK(generated(model, {1, 2, 3}, options) != first);
}

TEST_CASE("the likeliest tokens are those that the losses say") {
  LanguageModel model(small_model("rotary"), 3, cpu_backend());
  GenerateOptions options = drawing(0, 0, 1);
  options.tokens = 12;
  std::vector<int32_t> text{4, 5};
  for (const int32_t token : generated(model, text, options)) {
    double best = INFINITY;
    int32_t likeliest = -1;
    for (int32_t next = 0; next < 13; ++next) {
      std::vector<int32_t> targets(text.begin() + 1, text.end());
      targets.push_back(next);
      const double loss =
          static_cast<double>(model.losses(Ids(text, cpu_backend()), Ids(targets, cpu_backend()), 1)
                                  .to_vector()
                                  .back());
      if (loss < best) {
        best = loss;
        likeliest = next;
      }
    }
    CHECK(token == likeliest);
    text.push_back(token);
  }
}

TEST_CASE("a prompt longer than a piece is read as a whole") {
  LanguageModel model(small_model("sandwich"), 1, cpu_backend());
  std::vector<int32_t> prompt(2100);
  small_text(2100).read(0, prompt);
  GenerateOptions options = drawing(0, 0, 1);
  options.tokens = 1;
  Memory memory = model.new_memory();
  const auto logits = model.next_logits(Ids(prompt, cpu_backend()), memory).to_vector();
  CHECK(generated(model, prompt, options)[0] == draw_token(logits, options, 0));
}

TEST_CASE("generation refuses what makes no sense") {
  LanguageModel model(small_model("learned"), 1, cpu_backend());
  const auto error = [&](const std::vector<int32_t>& prompt, const GenerateOptions& options) {
    return error_of([&] { generated(model, prompt, options); });
  };
  CHECK(contains(error({}, {}), "the prompt is empty"));
  CHECK(contains(error({1}, drawing(-1, 0, 1)), "temperature"));
  CHECK(contains(error({1}, drawing(1, -1, 1)), "top-k"));
  CHECK(contains(error({1}, drawing(1, 0, 0)), "top-p"));
  CHECK(contains(error({1, 2, 3}, {}), "cannot reach 202"));
}

TEST_CASE("ALiBi's implicit windows are those of the paper") {
  // Its 18, 37, 74, … are the rounded distances ln(10^4) / slope; a window holds distance 0, too.
  const auto windows = windows_of("alibi", "auto");
  REQUIRE(windows.size() == 2);
  CHECK(windows[0] == std::vector<int64_t>{19, 37, 74, 148, 295, 590, 1179, 2358});
  CHECK(windows[1] == windows[0]);
  CHECK(windows_of("alibi", "auto", 200)[0] == std::vector<int64_t>{19, 37, 74, 148, 0, 0, 0, 0});
}

TEST_CASE("windows are as given, and no wider than in training") {
  CHECK(windows_of("none", "5")[1] == std::vector<int64_t>(8, 5));
  CHECK(windows_of("none", "5,0", 100, 2)[0] == std::vector<int64_t>{5, 0});
  ModelConfig config = small_model("none");
  config.windows = {4, 0, 9, 6};
  LanguageModel model(config, 1, cpu_backend());
  choose_windows(model, {"6", 1e-4}, 100, nullptr);
  CHECK(model.windows()[0] == std::vector<int64_t>{4, 6, 6, 6});
  choose_windows(model, {"0", 1e-4}, 100, nullptr);
  CHECK(model.windows()[0] == std::vector<int64_t>{4, 0, 9, 6});
}

TEST_CASE("measured windows hold the attention") {
  // ALiBi's steepest head cannot look far, whatever the text.
  const auto windows = windows_of("alibi", "measured", 400);
  CHECK(windows[0][0] > 5);
  CHECK(windows[0][0] < 30);
  CHECK(windows[0][7] == 0);
}

TEST_CASE("windows that there are not are refused") {
  const auto error = [](const std::string& scheme, const std::string& window) {
    return error_of([&] { windows_of(scheme, window, 300); });
  };
  CHECK(contains(error("rotary", "auto"), "adds no bias"));
  CHECK(contains(error("sandwich", "auto"), "no implicit windows"));
  for (const std::string window : {"x", "-1", "5,", "5,,5", "1.5", "99999999999"})
    CHECK(contains(error("none", window), "--window takes"));
  CHECK(contains(error("none", "1,2,3"), "one window for all heads or 8"));
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  CHECK(contains(error_of([&] {
                   choose_windows(model, {"measured", 1e-4}, 9, nullptr);
                 }),
                 "--data"));
  CHECK(contains(error_of([&] { choose_windows(model, {"auto", 0}, 9, nullptr); }), "epsilon"));
}

TEST_CASE("generation with a dense bias, which grows with every token, leaves no memory behind") {
  ModelConfig config = small_model("fire");
  config.heads = 8;
  LanguageModel model(config, 1, cpu_backend());
  const auto idle_after = [&](int64_t tokens) {
    cpu_backend().pool().trim();
    GenerateOptions options = drawing(1, 0, 1);
    options.tokens = tokens;
    CHECK(generated(model, {1, 2, 3}, options).size() == static_cast<size_t>(tokens));
    return cpu_backend().pool().idle_bytes();
  };
  CHECK(idle_after(400) < 6 * idle_after(100));  // what one token needs, not what all did
}

}  // namespace farsight
