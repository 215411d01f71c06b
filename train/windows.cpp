// Windows chosen after training: see windows.h.
#include "train/windows.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "train/attention_map.h"

namespace farsight {
namespace {

using Windows = LanguageModel::Windows;

Windows implicit_windows(LanguageModel& model, double epsilon, int64_t length) {
  const ModelConfig& config = model.config();
  // Far enough to tell heads whose windows are longer than this text from those without any.
  const int64_t reach = std::max<int64_t>(length, 65536);
  const Bias bias = model.bias(reach - 1, reach);
  check(bias.values.defined(), "the scheme '", config.position,
        "' adds no bias and has no implicit windows; pass --window measured, or numbers");
  check(bias.relative(), "the bias of the scheme '", config.position,
        "' depends on more than distance; pass --window measured, or numbers");
  const std::vector<real> values = bias.values.to_vector();
  const int64_t T = bias.values.shape()[1];
  std::vector<int64_t> windows;
  bool limited = false;
  for (int64_t h = 0; h < config.heads; ++h) {
    const auto value = [&](int64_t d) { return static_cast<double>(values[(h + 1) * T - 1 - d]); };
    int64_t window = reach;
    while (window > 1 && value(window - 1) < std::log(epsilon)) --window;
    limited = limited || window < reach;
    windows.push_back(window >= length ? 0 : window);
  }
  check(limited, "no head's bias falls below ln ", epsilon, " within ", reach,
        " tokens, so that there are no implicit windows; pass --window measured, numbers, or a ",
        "larger --epsilon");
  return Windows(config.blocks, windows);
}

Windows measured_windows(LanguageModel& model, double epsilon, int64_t length,
                         const TokenSource& text) {
  AttentionMapOptions options;
  // In a text shorter than those of the training every head would seem to see everything.
  options.length = std::min<int64_t>(std::max(length, model.config().length), 2048);
  options.sequences = 8;
  const AttentionMap map = attention_map(model, text, options);
  Windows windows(model.config().blocks);
  for (const HeadAttention& head : map.heads) {
    const int64_t window = head.window(1 - epsilon);
    windows[head.block - 1].push_back(window > options.length / 2 ? 0 : window);
  }
  return windows;
}

Windows given_windows(const LanguageModel& model, const std::string& text) {
  std::vector<int64_t> windows;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t window = -1;
    const auto [stop, error] = std::from_chars(at, end, window);
    check(
        error == std::errc() && window >= 0 && window <= INT32_MAX && (stop == end || *stop == ','),
        "--window takes auto, measured, or numbers of tokens such as 128 or 16,64,0, not '", text,
        "'");
    windows.push_back(window);
    if (stop == end) break;
    at = stop + 1;
  }
  const int64_t heads = model.config().heads;
  if (windows.size() == 1) windows.assign(heads, windows[0]);
  check(static_cast<int64_t>(windows.size()) == heads, "give one window for all heads or ", heads,
        " windows, not ", windows.size());
  return Windows(model.config().blocks, windows);
}

}  // namespace

void add_window_options(CLI::App& app, WindowOptions& options) {
  app.add_option("--window", options.window,
                 "attention windows: auto = where the bias falls below epsilon, measured = where "
                 "all but epsilon of the attention lies, or tokens; default: as trained");
  app.add_option("--epsilon", options.epsilon,
                 "what windows may cut off: e^bias (auto), share of attention (measured)")
      ->capture_default_str();
}

void choose_windows(LanguageModel& model, const WindowOptions& options, int64_t length,
                    const TokenSource* text) {
  if (options.window.empty()) return;
  check(options.epsilon > 0 && options.epsilon < 1, "epsilon must be between 0 and 1, not ",
        options.epsilon);
  Windows windows;
  if (options.window == "auto") {
    windows = implicit_windows(model, options.epsilon, length);
  } else if (options.window == "measured") {
    check(text, "--window measured needs a text to measure on; pass --data");
    windows = measured_windows(model, options.epsilon, length, *text);
  } else {
    windows = given_windows(model, options.window);
  }
  const Windows trained = model.trained_windows();
  for (size_t block = 0; block < windows.size(); ++block) {
    for (size_t h = 0; h < trained[block].size(); ++h) {
      int64_t& window = windows[block][h];
      if (trained[block][h] > 0)
        window = window > 0 ? std::min(window, trained[block][h]) : trained[block][h];
    }
  }
  model.set_windows(windows);
}

std::string describe_windows(const LanguageModel& model) {
  const Windows& windows = model.windows();
  const bool alike = std::all_of(windows.begin(), windows.end(),
                                 [&](const auto& block) { return block == windows[0]; });
  std::string text;
  for (size_t block = 0; block < (alike ? 1 : windows.size()); ++block) {
    text += alike ? "" : concat(block ? "; " : "", "block ", block + 1, ": ");
    if (windows[block].empty()) text += "all";
    for (size_t h = 0; h < windows[block].size(); ++h)
      text += concat(h ? " " : "", windows[block][h] ? concat(windows[block][h]) : "all");
  }
  return text;
}

}  // namespace farsight
