// Training and generation on the CUDA backend: the same as on the CPU, but for rounding.
#include "tests/catch.h"
#include "tests/cuda/compare.h"
#include "tests/small_model.h"
#include "train/generate.h"

namespace farsight {
namespace {

std::vector<real> losses_of(const Config& config, Backend& backend) {
  Trainer trainer(config, small_text(2000), backend);
  std::vector<real> losses;
  for (int64_t step = 0; step < config.steps; ++step)
    losses.push_back(static_cast<real>(trainer.step().loss));
  return losses;
}

}  // namespace

TEST_CASE("cuda: a few steps of training have the CPU's losses") {
  for (const std::string scheme : {"alibi", "kerple_log", "rotary"}) {
    Config config = small_run(scheme);
    config.dropout = 0.1;
    config.steps = 4;
    const auto expected = losses_of(config, cpu_backend());
    const auto got = losses_of(config, open_backend("cuda"));
    INFO(scheme);
    CHECK(difference(got, expected) < 20 * kRounding);
    CHECK(losses_of(config, open_backend("cuda")) == got);  // bit by bit
  }
}

TEST_CASE("cuda: a model writes what it writes on the CPU") {
  const auto text = [](Backend& backend) {
    LanguageModel model(small_model("alibi"), 1, backend);
    GenerateOptions options;
    options.tokens = 12;
    options.temperature = 0;
    std::vector<int32_t> said;
    generate(model, {1, 2, 3}, options, [&](int32_t token) {
      said.push_back(token);
      return true;
    });
    return said;
  };
  CHECK(text(open_backend("cuda")) == text(cpu_backend()));
}

}  // namespace farsight
