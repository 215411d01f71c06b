// Saving and loading checkpoints: see checkpoint.h.
#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "train/safetensors.h"

namespace farsight {
namespace {

constexpr const char* kFormat = "farsight checkpoint 1";
constexpr const char* kFirst = "optimizer.first.";
constexpr const char* kSecond = "optimizer.second.";

/// The settings of some groups, by name.
nlohmann::json settings_of(const Config& config, std::initializer_list<std::string> groups) {
  const nlohmann::json all = to_json(config);
  nlohmann::json chosen;
  Config copy = config;
  visit_settings(copy, [&](const std::string& name, auto&, const char*, const std::string& group) {
    if (std::count(groups.begin(), groups.end(), group)) chosen[name] = all[name];
  });
  return chosen;
}

/// What decides the meaning of the parameters, and may not change when a run goes on.
nlohmann::json model_settings(const Config& config) {
  nlohmann::json settings = settings_of(config, {"Model", "Positional schemes"});
  settings["vocabulary"] = config.model.vocabulary;
  return settings;
}

Config config_of(const Safetensors& file, const std::filesystem::path& path) {
  check(file.metadata("format") == kFormat, path.string(), ": its format is '",
        file.metadata("format"), "' instead of '", kFormat, "'");
  file.metadata("checksum");  // which has been compared, but has to be there
  try {
    return from_json(nlohmann::json::parse(file.metadata("config")));
  } catch (const std::exception& error) {
    fail(path.string(), ": ", error.what());
  }
}

int64_t step_of(const Safetensors& file, const std::filesystem::path& path) {
  const std::string& text = file.metadata("step");
  int64_t step = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, step);
  check(error == std::errc() && stop == end && step >= 0, path.string(), ": its step is '", text,
        "', not a number of steps");
  return step;
}

void copy_into(const Tensor& tensor, int64_t offset, std::span<const real> values) {
  tensor.backend().upload(tensor.data() + offset, values.data(), values.size_bytes());
}

/// A checkpoint holds each parameter and its two moments, and nothing else.
void require_tensors(const Safetensors& file, const std::filesystem::path& path,
                     size_t parameters) {
  check(file.tensors() == 3 * static_cast<int64_t>(parameters), path.string(), ": holds ",
        file.tensors(), " tensors, and a model of its settings has ", parameters,
        " with two moments each; use another checkpoint");
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Config& config,
                     const std::string& tokenizer, int64_t step, const ParameterBlock& parameters,
                     const AdamW& optimizer) {
  const auto values = parameters.values().to_vector();
  const auto first = optimizer.first_moment().to_vector();
  const auto second = optimizer.second_moment().to_vector();
  std::vector<NamedValues> tensors;
  for (const auto& [prefix, block] :
       {std::pair("", &values), std::pair(kFirst, &first), std::pair(kSecond, &second)}) {
    for (const auto& [parameter, offset] : parameters.entries()) {
      const auto size = static_cast<size_t>(parameter.tensor.size());
      tensors.push_back({prefix + parameter.name, parameter.tensor.shape(),
                         std::span(*block).subspan(offset, size)});
    }
  }
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"config", to_json(config).dump()},
                     {"step", std::to_string(step)},
                     {"tokenizer", tokenizer}});
}

TrainedModel load_checkpoint(const std::filesystem::path& path, Backend& backend) {
  const Safetensors file(path);
  TrainedModel trained;
  trained.config = config_of(file, path);
  trained.tokenizer = file.metadata("tokenizer");
  trained.step = step_of(file, path);
  const ModelConfig& config = trained.config.model;
  check(matrix_elements(config) <= static_cast<double>(file.elements()), path.string(),
        ": its settings describe a larger model than it holds; use another checkpoint");
  try {
    trained.model = std::make_unique<LanguageModel>(config, std::nullopt, backend);
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
  const std::vector<Parameter> parameters = trained.model->parameters();
  require_tensors(file, path, parameters.size());
  for (const Parameter& parameter : parameters)
    copy_into(parameter.tensor, 0, file.tensor(parameter.name, parameter.tensor.shape()));
  return trained;
}

void require_tokenizer(const TrainedModel& trained, const TokenSource& text) {
  check(text.tokenizer == trained.tokenizer, text.name,
        ": was made with another tokenizer than the model's training data; prepare it with ",
        "--tokenizer-from that folder");
}

TrainedModel load_model(const std::filesystem::path& path, const TokenSource& text,
                        Backend& backend) {
  TrainedModel trained = load_checkpoint(path, backend);
  require_tokenizer(trained, text);
  return trained;
}

std::vector<std::string> changed_settings(const Config& now, const Config& before,
                                          std::initializer_list<std::string> groups) {
  const nlohmann::json is = settings_of(now, groups), was = settings_of(before, groups);
  std::vector<std::string> changes;
  for (const auto& [name, value] : is.items())
    if (was[name] != value)
      changes.push_back(concat(name, " = ", value.dump(), " (was ", was[name].dump(), ")"));
  return changes;
}

RunState checkpoint_state(const std::filesystem::path& path) {
  const Safetensors file(path);
  // A third of what it holds: the rest are the optimizer's moments.
  return {config_of(file, path), file.metadata("tokenizer"), step_of(file, path),
          file.elements() / 3};
}

Resumed resume_checkpoint(const std::filesystem::path& path, const Config& config,
                          const std::string& tokenizer, const ParameterBlock& parameters,
                          const AdamW& optimizer) {
  const Safetensors file(path);
  const Config old = config_of(file, path);
  const nlohmann::json before = model_settings(old);
  const nlohmann::json now = model_settings(config);
  for (const auto& [name, value] : now.items())
    check(before.value(name, value) == value, path.string(), ": was trained with ", name, " = ",
          before[name].dump(), ", and now ", name, " = ", value.dump(),
          "; use the same settings, or another --out");
  check(file.metadata("tokenizer") == tokenizer, path.string(),
        ": was trained on tokens of another tokenizer; use the same --data, or another --out");
  require_tensors(file, path, parameters.entries().size());
  for (const auto& [parameter, offset] : parameters.entries()) {
    const auto& [name, tensor, decay, init] = parameter;
    copy_into(tensor, 0, file.tensor(name, tensor.shape()));
    copy_into(optimizer.first_moment(), offset, file.tensor(kFirst + name, tensor.shape()));
    copy_into(optimizer.second_moment(), offset, file.tensor(kSecond + name, tensor.shape()));
  }
  return {step_of(file, path), changed_settings(config, old, {"Training"})};
}

}  // namespace farsight
