// Saving and loading checkpoints: see checkpoint.h.
#include "train/checkpoint.h"

#include "core/error.h"
#include "train/safetensors.h"

namespace farsight {
namespace {

constexpr const char* kFormat = "farsight checkpoint 1";
constexpr const char* kFirst = "optimizer.first.";
constexpr const char* kSecond = "optimizer.second.";

/// The settings that decide what the parameters mean, and may not change when a run goes on.
nlohmann::json model_settings(const Config& config) {
  nlohmann::json settings = to_json(config);
  nlohmann::json model{{"vocabulary", settings["vocabulary"]}};
  Config copy = config;
  visit_settings(copy, [&](const std::string& name, auto&, const char*, const std::string& group) {
    if (group == "Model" || group == "Positional schemes") model[name] = settings[name];
  });
  return model;
}

Config config_of(const Safetensors& file, const std::filesystem::path& path) {
  check(file.metadata("format") == kFormat, path.string(), ": its format is '",
        file.metadata("format"), "' instead of '", kFormat, "'");
  try {
    return from_json(nlohmann::json::parse(file.metadata("config")));
  } catch (const std::exception& error) {
    fail(path.string(), ": ", error.what());
  }
}

int64_t step_of(const Safetensors& file, const std::filesystem::path& path) {
  try {
    return std::stoll(file.metadata("step"));
  } catch (const std::logic_error&) {
    fail(path.string(), ": its step is '", file.metadata("step"), "', not a number");
  }
}

void copy_into(const Tensor& tensor, int64_t offset, std::span<const real> values) {
  tensor.backend().upload(tensor.data() + offset, values.data(), values.size_bytes());
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Config& config,
                     const std::string& tokenizer, int64_t step, const ParameterBlock& parameters,
                     const AdamW& optimizer) {
  const auto first = optimizer.first_moment().to_vector();
  const auto second = optimizer.second_moment().to_vector();
  std::vector<NamedValues> tensors, moments;
  for (const auto& [parameter, offset] : parameters.entries()) {
    const auto& [name, tensor, decay, init] = parameter;
    const auto slice = [&, begin = offset](const std::vector<real>& block) {
      return std::vector<real>(block.begin() + begin, block.begin() + begin + tensor.size());
    };
    tensors.push_back({name, tensor.shape(), tensor.to_vector()});
    moments.push_back({kFirst + name, tensor.shape(), slice(first)});
    moments.push_back({kSecond + name, tensor.shape(), slice(second)});
  }
  tensors.insert(tensors.end(), std::make_move_iterator(moments.begin()),
                 std::make_move_iterator(moments.end()));
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
  trained.model =
      std::make_unique<LanguageModel>(trained.config.model, trained.config.seed, backend);
  for (const Parameter& parameter : trained.model->parameters())
    copy_into(parameter.tensor, 0, file.tensor(parameter.name, parameter.tensor.shape()));
  return trained;
}

int64_t resume_checkpoint(const std::filesystem::path& path, const Config& config,
                          const std::string& tokenizer, const ParameterBlock& parameters,
                          const AdamW& optimizer) {
  const Safetensors file(path);
  const nlohmann::json before = model_settings(config_of(file, path));
  const nlohmann::json now = model_settings(config);
  for (const auto& [name, value] : now.items())
    check(before.value(name, value) == value, path.string(), ": was trained with ", name, " = ",
          before[name].dump(), ", and now ", name, " = ", value.dump(),
          "; use the same settings, or another --out");
  check(file.metadata("tokenizer") == tokenizer, path.string(),
        ": was trained on tokens of another tokenizer; use the same --data, or another --out");
  for (const auto& [parameter, offset] : parameters.entries()) {
    const auto& [name, tensor, decay, init] = parameter;
    copy_into(tensor, 0, file.tensor(name, tensor.shape()));
    copy_into(optimizer.first_moment(), offset, file.tensor(kFirst + name, tensor.shape()));
    copy_into(optimizer.second_moment(), offset, file.tensor(kSecond + name, tensor.shape()));
  }
  return step_of(file, path);
}

}  // namespace farsight
