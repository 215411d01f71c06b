// Extensions as options: see extend.h.
#include "train/extend.h"

#include <algorithm>

#include "core/error.h"
#include "train/attention_map.h"

namespace farsight {
namespace {

constexpr double kColdest = 0.1;

std::string known_extensions() {
  std::string known;
  for (const ExtensionEntry* entry : ExtensionEntry::all()) known += entry->name + ", ";
  return known + "align";
}

/// Attention's entropy in nats, averaged over heads.
double mean_entropy(LanguageModel& model, const TokenSource& text, int64_t length) {
  AttentionMapOptions options;
  options.length = length;
  options.sequences = 8;
  const AttentionMap map = attention_map(model, text, options);
  double total = 0;
  for (const HeadAttention& head : map.heads) total += head.entropy;
  return total / static_cast<double>(map.heads.size());
}

double aligned_temperature(LanguageModel& model, const TokenSource& text, ExtensionConfig config) {
  if (config.length <= config.trained) return 1;
  model.extend(nullptr);
  const double wanted = mean_entropy(model, text, config.trained);
  const ExtensionEntry& entry = ExtensionEntry::of("temperature");
  const auto entropy_at = [&](double temperature) {
    config.temperature = temperature;
    model.extend(&entry, config);
    return mean_entropy(model, text, config.length);
  };
  // Entropy grows with the temperature.
  double low = kColdest, high = 1;
  if (entropy_at(high) <= wanted) return 1;
  if (entropy_at(low) >= wanted) return low;
  while (high - low > 0.002) {
    const double middle = (low + high) / 2;
    (entropy_at(middle) > wanted ? high : low) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

void add_extend_options(CLI::App& app, ExtendOptions& options) {
  app.add_option("--extend", options.name,
                 "how to reach past the training length: " + known_extensions() +
                     " (the temperature that keeps attention as sharp as in training)");
  app.add_option("--extend-temperature", options.temperature, "temperature of --extend temperature")
      ->capture_default_str();
}

void check_extension(LanguageModel& model, const ExtendOptions& options) {
  check(options.temperature == 1 || options.name == "temperature",
        "--extend-temperature has no meaning without --extend temperature");
  if (options.name.empty()) return;
  check(options.temperature > 0, "the temperature must be above 0, not ", options.temperature);
  const auto entries = ExtensionEntry::all();
  check(options.name == "align" ||
            std::any_of(entries.begin(), entries.end(),
                        [&](const auto* entry) { return entry->name == options.name; }),
        "there is no extension '", options.name, "'; known are: ", known_extensions());
  const int64_t trained = model.config().length;
  model.extend(&ExtensionEntry::of(options.name == "align" ? "temperature" : options.name),
               {trained, trained, 1});
  model.extend(nullptr);
}

std::string extend_model(LanguageModel& model, const ExtendOptions& options, int64_t length,
                         const TokenSource* text) {
  check_extension(model, options);
  if (options.name.empty()) return "";
  ExtensionConfig config{model.config().length, length, options.temperature};
  if (options.name == "align") {
    check(text, "--extend align needs a text to measure attention on; pass --data");
    config.temperature = aligned_temperature(model, *text, config);
    model.extend(&ExtensionEntry::of("temperature"), config);
    return concat("temperature ", config.temperature, " at length ", length,
                  config.temperature <= kColdest ? ", the lowest tried, and not low enough" : "");
  }
  model.extend(&ExtensionEntry::of(options.name), config);
  return "";
}

}  // namespace farsight
