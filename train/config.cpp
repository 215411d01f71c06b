// Settings from command line, file and metadata: see config.h.
#include "train/config.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "core/error.h"

namespace farsight {
namespace {

const std::map<std::string, Activation> kActivations{{"gelu", Activation::kGelu},
                                                     {"gelu_tanh", Activation::kGeluTanh}};

std::string name_of(Activation activation) {
  return activation == Activation::kGelu ? "gelu" : "gelu_tanh";
}

template <class Field>
constexpr bool is_activation = std::is_same_v<Field, Activation>;

/// An error message unless the whole text is a finite number that fits the type.
template <class Number>
std::string fault_of(const std::string& text, const char* expected) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  bool good = result.ec == std::errc() && result.ptr == end;
  if constexpr (std::is_floating_point_v<Number>)
    good = good && std::isfinite(value);
  else  // which CLI11 would take for an octal number
    good = good && (text.find_first_not_of('-') == text.size() - 1 ||
                    text[text.find_first_not_of('-')] != '0');
  return good ? "" : concat("'", text, "' is not ", expected);
}

/// Fills the options that nobody has set yet from one file.
void read_one_file(CLI::App& app, const std::string& path) {
  std::ifstream file(path);
  check(file.is_open() && !std::filesystem::is_directory(path), path,
        ": not found; --config takes a TOML file such as configs/demo.toml");

  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(file);
  } catch (const CLI::Error& error) {
    fail(path, ": ", error.what());
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    if (option->get_configurable()) known.push_back(option->get_single_name());
  std::set<std::string> seen;
  for (const CLI::ConfigItem& item : items) {
    check(item.parents.empty(), path, ": sections such as [",
          item.parents.empty() ? "" : item.parents[0],
          "] are not used; write all settings without one");
    check(std::count(known.begin(), known.end(), item.name), path, ": unknown setting '", item.name,
          "'; the nearest known one is '", nearest(item.name, known), "'");
    check(seen.insert(item.name).second, path, ": ", item.name, " is set twice");
    CLI::Option* option = app.get_option("--" + item.name);
    const bool list = option->get_expected_max() > 1;
    check(list || item.inputs.size() == 1, path, ": ", item.name, " takes one value, not ",
          item.inputs.size());
    if (option->count() > 0 || item.inputs.empty()) continue;  // [] is what a list starts as
    try {
      option->add_result(item.inputs);
      option->run_callback();
    } catch (const CLI::Error& error) {
      fail(path, ": ", item.name, ": ", error.what());
    }
  }
}

}  // namespace

void check_numbers(CLI::App& program) {
  for (CLI::App* command : program.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      if (type == "INT")
        option->check([](auto& text) { return fault_of<int64_t>(text, "a whole number"); });
      else if (type == "UINT")
        option->check([](auto& text) { return fault_of<uint64_t>(text, "a whole number >= 0"); });
      else if (type == "FLOAT")
        option->check([](auto& text) { return fault_of<double>(text, "a number"); });
    }
  }
}

void add_settings(CLI::App& app, Config& config) {
  visit_settings(config, [&](const std::string& name, auto& field, const char* description,
                             const char* group) {
    CLI::Option* option = app.add_option("--" + name, field, description)->group(group);
    using Field = std::decay_t<decltype(field)>;
    if constexpr (is_activation<Field>) {
      CLI::CheckedTransformer by_name(kActivations);
      by_name.description("");  // the setting's description names them
      option->transform(by_name)->type_name("TEXT")->default_str(name_of(field));
    } else {
      option->capture_default_str();
    }
    if constexpr (std::is_same_v<Field, std::vector<int64_t>>) option->delimiter(',');
  });
  app.add_option("--config",
                 "TOML files of settings; a later one goes before an earlier one, and "
                 "the command line before all")
      ->group("Files")
      ->type_name("FILE ...")
      ->take_all()
      ->expected(1, 100)
      ->configurable(false);
}

void read_config_file(CLI::App& app) {
  if (app.get_option("--config")->count() == 0) return;
  const auto paths = app.get_option("--config")->as<std::vector<std::string>>();
  // The last file first: what is set stays.
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) read_one_file(app, *path);
}

std::string describe(const CLI::ParseError& error, CLI::App& program) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const auto used = program.get_subcommands();
  const bool unexpected = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  if (used.empty() && !program.remaining().empty()) {
    std::vector<std::string> commands;
    for (const CLI::App* command : program.get_subcommands({}))
      commands.push_back(command->get_name());
    const std::string given = program.remaining().front();
    return concat("there is no command '", given, "'; the nearest known one is '",
                  nearest(given, commands), "'");
  }
  if (!unexpected || used.empty()) return text + "; see farsight --help";
  std::vector<std::string> known;
  for (const CLI::Option* option : used[0]->get_options()) known.push_back(option->get_name());
  for (const std::string& extra : used[0]->remaining()) {
    if (extra.starts_with("-"))
      return concat(used[0]->get_name(), ": unknown option '", extra,
                    "'; the nearest known one is '", nearest(extra, known), "'");
  }
  return concat(used[0]->get_name(), ": ", text);
}

nlohmann::json to_json(const Config& config) {
  nlohmann::json settings;
  Config copy = config;
  visit_settings(copy, [&](const std::string& name, auto& field, const char*, const char*) {
    if constexpr (is_activation<std::decay_t<decltype(field)>>)
      settings[name] = name_of(field);
    else
      settings[name] = field;
  });
  settings["vocabulary"] = config.model.vocabulary;
  return settings;
}

Config from_json(const nlohmann::json& settings) {
  Config config;
  std::vector<std::string> known{"vocabulary"};
  try {
    visit_settings(config, [&](const std::string& name, auto& field, const char*, const char*) {
      using Field = std::decay_t<decltype(field)>;
      known.push_back(name);
      if (!settings.contains(name)) return;
      const nlohmann::json& value = settings.at(name);
      if constexpr (is_activation<Field>) {
        const auto found = kActivations.find(value.get<std::string>());
        check(found != kActivations.end(), "unknown activation ", value.dump());
        field = found->second;
      } else {
        check(!std::is_integral_v<Field> || value.is_number_integer() || value.is_boolean(), name,
              " is ", value.dump(), ", no whole number");
        field = value.get<Field>();
      }
    });
    config.model.vocabulary = settings.at("vocabulary").get<int64_t>();
  } catch (const std::exception& error) {
    fail("damaged settings: ", error.what());
  }
  for (const auto& [name, value] : settings.items())
    check(std::count(known.begin(), known.end(), name), "unknown setting '", name, "'");
  return config;
}

std::string nearest(const std::string& name, const std::vector<std::string>& candidates) {
  // Levenshtein distance, one row at a time.
  const auto distance = [&](const std::string& other) {
    std::vector<size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (size_t i = 0; i < name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 0; j < other.size(); ++j) {
        const size_t substituted = diagonal + (name[i] != other[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
      }
    }
    return row.back();
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
}

}  // namespace farsight
