// Which runs a sweep makes: see sweep.h.
#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "train/sweep.h"
#include "train/table.h"

namespace farsight {
namespace {

struct Axis {
  std::string setting;
  std::vector<nlohmann::json> values;
};

/// A value as the setting's type has it; per-head windows are written 8/16/64/0.
nlohmann::json value_of(const std::string& setting, const std::string& text,
                        const nlohmann::json& present) {
  if (present.is_string()) return text;
  if (present.is_boolean()) {
    check(text == "true" || text == "false" || text == "1" || text == "0", "cannot vary ", setting,
          ": '", text, "' is neither true nor false");
    return text == "true" || text == "1";
  }
  if (present.is_array()) {
    nlohmann::json list = nlohmann::json::array();
    std::istringstream parts(text + "/");
    for (std::string part; std::getline(parts, part, '/');)
      list.push_back(value_of(setting, part, 0));
    return list;
  }
  const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  const bool whole = present.is_number_integer();
  check(value.is_number() && (!whole || value.is_number_integer()) &&
            (!present.is_number_unsigned() || value.is_number_unsigned()),
        "cannot vary ", setting, ": '", text, "' is not a ", whole ? "whole number" : "number",
        present.is_number_unsigned() ? " >= 0" : "");
  return whole ? value : nlohmann::json(value.get<double>());
}

/// As it stands in names and tables.
std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value;
  std::string text;
  if (!value.is_array()) {
    text = value.dump();
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
  }
  for (const nlohmann::json& part : value) {
    if (!text.empty()) text += '-';
    text += part.dump();
  }
  return text;
}

Axis axis_of(const std::string& text, const nlohmann::json& settings) {
  const size_t equals = text.find('=');
  check(equals != std::string::npos && equals > 0, "cannot vary '", text,
        "'; write SETTING=VALUE,VALUE, for example position=alibi,sandwich");
  Axis axis{text.substr(0, equals), {}};
  std::vector<std::string> known;
  for (const auto& [name, value] : settings.items()) known.push_back(name);
  check(settings.contains(axis.setting), "cannot vary the unknown setting '", axis.setting,
        "'; the nearest known one is '", nearest(axis.setting, known), "'");
  std::istringstream values(text.substr(equals + 1) + ",");
  for (std::string value; std::getline(values, value, ',');) {
    check(!value.empty(), "cannot vary '", text, "': a value is empty");
    axis.values.push_back(value_of(axis.setting, value, settings[axis.setting]));
    check(std::count(axis.values.begin(), axis.values.end(), axis.values.back()) == 1, "'", text,
          "' has ", value, " twice");
  }
  return axis;
}

}  // namespace

std::vector<SweepRun> sweep_runs(const SweepOptions& options) {
  const nlohmann::json settings = to_json(options.base);
  std::vector<Axis> axes;
  std::set<std::string> seen{"out", "data", "device", "precision", "threads", "vocabulary"};
  for (const std::string& text : options.vary) {
    axes.push_back(axis_of(text, settings));
    check(seen.insert(axes.back().setting).second, "'", text, "': ", axes.back().setting,
          " cannot be varied, or is varied twice");
  }
  check(!axes.empty(), "nothing to vary; pass for example --vary position=alibi,sandwich");

  std::vector<SweepRun> runs;
  size_t count = 1;
  for (const Axis& axis : axes) count *= axis.values.size();
  check(count <= 10000, "these values make ", count, " runs; 10000 are the most");
  for (size_t index = 0; index < count; ++index) {
    SweepRun run;
    nlohmann::json changed = settings;
    size_t below = count, rest = index;
    for (const auto& [setting, values] : axes) {
      below /= values.size();
      changed[setting] = values[rest / below];
      const std::string value = text_of(values[rest / below]);
      rest %= below;
      const std::string part = setting == "position" ? value : setting + "=" + value;
      run.name += (run.name.empty() ? "" : "_") + part;
      if (setting == "seed") continue;
      run.group += (run.group.empty() ? "" : "_") + part;
      run.values.emplace_back(setting, value);
    }
    run.config = from_json(changed);
    run.config.out = std::filesystem::path(options.base.out) / run.name;
    label_of(run.config.out);  // which has to be fit for a CSV
    runs.push_back(run);
  }
  return runs;
}

}  // namespace farsight
