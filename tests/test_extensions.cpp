// Extensions of trained models to longer texts.
#include <cmath>
#include <numbers>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "train/attention_map.h"
#include "train/extend.h"
#include "train/windows.h"

namespace farsight {
namespace {

std::unique_ptr<Extension> extension(const std::string& name, int64_t trained, int64_t length) {
  return ExtensionEntry::of(name).make({trained, length, 0.5});
}

std::vector<real> losses_of(LanguageModel& model, int64_t length) {
  return model.losses(small_ids(0, length), small_ids(1, length), 1).to_vector();
}

double entropy_of(LanguageModel& model, const TokenSource& text, int64_t length) {
  AttentionMapOptions options;
  options.length = length;
  options.sequences = 8;
  double total = 0;
  for (const HeadAttention& head : attention_map(model, text, options).heads) total += head.entropy;
  return total;
}

}  // namespace

TEST_CASE("every extension changes every scheme past its training length, or says that it cannot") {
  for (const ExtensionEntry* entry : ExtensionEntry::all()) {
    for (const PositionEntry* scheme : PositionEntry::all()) {
      if (scheme->name == "learned") continue;  // has nothing past its training length
      ModelConfig config = small_model(scheme->name);
      config.deviation = 0.3;
      LanguageModel model(config, 1, cpu_backend());
      const std::vector<real> before = losses_of(model, 24), short_before = losses_of(model, 8);
      INFO(entry->name << " on " << scheme->name);
      const std::string error = error_of([&] { model.extend(entry, {config.length, 24, 0.5}); });
      if (!error.empty()) {
        CHECK(contains(error, "the scheme '" + scheme->name + "' has none to extend"));
        CHECK(losses_of(model, 24) == before);
        continue;
      }
      const std::vector<real> after = losses_of(model, 24);
      CHECK(after != before);
      for (const real loss : after) CHECK(std::isfinite(loss));
      model.extend(nullptr);
      CHECK(losses_of(model, 24) == before);
      // Within the training length nothing changes, but for a temperature that is asked for.
      model.extend(entry, {config.length, config.length, 1});
      CHECK(losses_of(model, 8) == short_before);
    }
  }
}

TEST_CASE("what an extension acts on") {
  const auto refused = [](const std::string& name, const std::string& scheme) {
    LanguageModel model(small_model(scheme), 1, cpu_backend());
    return !error_of([&] { model.extend(&ExtensionEntry::of(name), {8, 16, 1}); }).empty();
  };
  for (const std::string name : {"ntk", "ntk_dynamic", "yarn"}) {
    CHECK_FALSE(refused(name, "rotary"));
    CHECK_FALSE(refused(name, "xpos"));
    for (const std::string scheme : {"alibi", "sinusoidal", "t5", "none", "fire", "learned"})
      CHECK(refused(name, scheme));
  }
  for (const std::string scheme : {"rotary", "alibi", "sinusoidal", "t5", "fire", "kerple_log"})
    CHECK_FALSE(refused("linear", scheme));
  CHECK(refused("linear", "none"));
  CHECK(refused("linear", "learned"));
  CHECK_FALSE(refused("log_n", "none"));
  CHECK(contains(error_of([] { ExtensionEntry::of("nkt"); }), "known are: linear, log_n, ntk"));
}

TEST_CASE("extensions are what their formulas say") {
  const double pi = std::numbers::pi;
  CHECK(extension("linear", 128, 512)->position_scale() == Approx(0.25));
  CHECK(extension("linear", 128, 64)->position_scale() == 1);
  // The base grows by k^(D/(D-2)); pair i of D = 8 turns by base^(-2i/D).
  const double base = 10000 * std::pow(4.0, 8.0 / 6);
  for (const std::string name : {"ntk", "ntk_dynamic"})
    for (int64_t pair = 0; pair < 4; ++pair)
      CHECK(extension(name, 128, 512)->frequency(std::pow(10000.0, -pair / 4.0), pair, 4, 512) ==
            Approx(std::pow(base, -pair / 4.0)));
  CHECK(extension("ntk_dynamic", 128, 512)->frequency(0.5, 3, 4, 100) == Approx(0.5));
  CHECK(extension("ntk_dynamic", 128, 512)->frequency(0.5, 3, 4, 256) == Approx(0.25));
  const auto yarn = extension("yarn", 128, 512);
  CHECK(yarn->frequency(2 * pi * 33 / 128, 0, 4, 512) == Approx(2 * pi * 33 / 128));
  CHECK(yarn->frequency(2 * pi * 0.9 / 128, 0, 4, 512) == Approx(2 * pi * 0.9 / 128 / 4));
  const double half = 2 * pi * 16.5 / 128;  // half way from 1 to 32 turns
  CHECK(yarn->frequency(half, 0, 4, 512) == Approx(half * (0.5 + 0.5 / 4)));
  CHECK(yarn->query_scale(7) == Approx(std::pow(0.1 * std::log(4.0) + 1, 2)));
  CHECK(extension("log_n", 128, 512)->query_scale(100) == 1);
  CHECK(extension("log_n", 128, 512)->query_scale(511) ==
        Approx(std::log(512.0) / std::log(128.0)));
  CHECK(extension("temperature", 128, 512)->score_scale() == 2);
}

TEST_CASE("linear interpolation shrinks distances, and a temperature scales the bias") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  const auto plain = model.bias(0, 16).values.to_vector();
  model.extend(&ExtensionEntry::of("linear"), {8, 32, 1});
  const auto shrunk = model.bias(0, 16).values.to_vector();
  model.extend(&ExtensionEntry::of("temperature"), {8, 32, 0.5});
  const auto doubled = model.bias(0, 16).values.to_vector();
  for (size_t i = 0; i < plain.size(); ++i) {
    CHECK(shrunk[i] == Approx(plain[i] / 4));
    CHECK(doubled[i] == Approx(plain[i] * 2));
  }
  // Windows follow: slopes a quarter as steep reach four times as far.
  LanguageModel other(small_model("alibi"), 1, cpu_backend());
  choose_windows(other, {"auto", 1e-4}, 10000, nullptr);
  CHECK(other.windows()[0] == std::vector<int64_t>{37, 148, 590, 2358});
  other.extend(&ExtensionEntry::of("linear"), {8, 32, 1});
  choose_windows(other, {"auto", 1e-4}, 10000, nullptr);
  CHECK(other.windows()[0] == std::vector<int64_t>{148, 590, 2358, 9432});
}

TEST_CASE("a temperature divides whole scores") {
  // Without a bias it is the same as larger queries: log_n with a constant would be.
  ModelConfig config = small_model("alibi");
  LanguageModel cold(config, 1, cpu_backend());
  cold.extend(&ExtensionEntry::of("temperature"), {8, 16, 0.5});
  config.position_options = {{"alibi-shift", -1}};  // slopes twice as steep
  LanguageModel doubled(config, 1, cpu_backend());
  for (const Parameter& parameter : doubled.parameters()) {
    if (!contains(parameter.name, "query")) continue;
    const Tensor twice = scale(parameter.tensor, 2);
    cpu_backend().copy(parameter.tensor.data(), twice.data(), twice.size());
  }
  const auto a = losses_of(cold, 16), b = losses_of(doubled, 16);
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(1e-5));
}

TEST_CASE("generation under an extension is the same token by token") {
  for (const ExtensionEntry* entry : ExtensionEntry::all()) {
    for (const std::string scheme : {"rotary", "alibi", "t5", "fire"}) {
      ModelConfig config = small_model(scheme);
      config.deviation = 0.3;
      LanguageModel model(config, 1, cpu_backend());
      const ExtensionConfig extended{config.length, 20, 0.7};
      if (!error_of([&] { model.extend(entry, extended); }).empty()) continue;
      Memory memory = model.new_memory();
      if (entry->name == "ntk_dynamic") {
        const std::string error = error_of([&] { model.next_logits(small_ids(0, 1), memory); });
        CHECK(contains(error, "nothing can be generated"));
        continue;
      }
      for (int64_t t = 0; t < 20; ++t) {
        const auto step = model.next_logits(small_ids(t, 1), memory).to_vector();
        Memory fresh = model.new_memory();
        const auto whole = model.next_logits(small_ids(0, t + 1), fresh).to_vector();
        INFO(entry->name << " on " << scheme << ", token " << t);
        for (size_t i = 0; i < step.size(); ++i) CHECK(step[i] == Approx(whole[i]).margin(1e-4));
      }
    }
  }
}

TEST_CASE("attention alignment keeps the entropy of the training length") {
  ModelConfig config = small_model("t5");
  config.length = 32;
  config.deviation = 0.3;
  LanguageModel model(config, 1, cpu_backend());
  const TokenSource text = small_text(2000);
  const double trained = entropy_of(model, text, 32), longer = entropy_of(model, text, 256);
  CHECK(longer > 1.2 * trained);
  const std::string note = extend_model(model, {"align", 1}, 256, &text);
  CHECK(contains(note, "temperature 0."));
  CHECK(entropy_of(model, text, 256) == Approx(trained).epsilon(0.01));
  CHECK(contains(extend_model(model, {"align", 1}, 32, &text), "temperature 1 "));
  CHECK(contains(error_of([&] { extend_model(model, {"align", 1}, 64, nullptr); }), "--data"));
  CHECK(contains(error_of([&] {
                   extend_model(model, {"temperature", 0}, 64, nullptr);
                 }),
                 "above 0"));
}

}  // namespace farsight
