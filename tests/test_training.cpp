// Training: the optimizer, the step, exact resumption.
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/memory.h"

namespace farsight {
namespace {

std::vector<real> values_of(const Trainer& trainer) {
  return trainer.parameters().values().to_vector();
}

double run_steps(Trainer& trainer, int64_t steps) {
  double loss = 0;
  for (int64_t i = 0; i < steps; ++i) loss = trainer.step().loss;
  return loss;
}

/// A module of a matrix (subject to decay) and a vector (not).
class TwoParameters : public Module {
 public:
  TwoParameters()
      : matrix(add_parameter("matrix", {2, 2}, normal(1), Decay::kYes, cpu_backend())),
        vector(add_parameter("vector", {3}, normal(1), Decay::kNo, cpu_backend())) {
    initialize(1);
  }
  Tensor matrix, vector;
};

/// Bytes of tensors that a step of this run takes at most.
double bytes_of_step(const Config& config) {
  Pool& pool = cpu_backend().pool();
  pool.trim();
  const size_t before = pool.held_bytes();
  Trainer(config, small_text(500), cpu_backend()).step();
  const size_t used = pool.held_bytes() - before;
  pool.trim();
  return static_cast<double>(used);
}

}  // namespace

TEST_CASE("a dense bias and what its gradient needs count as memory of a training run") {
  Config config = small_run("fire");
  config.model.length = 256;
  const auto estimate = [](const Config& c) {
    return training_bytes(c, *position_of(c.model, cpu_backend()), cpu_backend());
  };
  Config without = config;
  without.model.position = "none";
  const double bias = bytes_of_step(config) - bytes_of_step(without);
  const double estimated = estimate(config) - estimate(without);
  CHECK(estimated > bias);
  CHECK(estimated < 1.5 * bias);
}

TEST_CASE("AdamW follows its formula") {
  TwoParameters module;
  const ParameterBlock block(module);
  AdamW optimizer(block);
  Config config;
  config.rate = 0.01;
  config.warmup = 0;
  config.steps = 100;
  config.decay = 0.1;
  config.clip = 1;
  CHECK(block.count() == 7);
  for (const ParameterBlock::Entry& entry : block.entries()) CHECK(entry.offset % 16 == 0);
  const int64_t n = block.size();  // what lies between parameters goes the same way
  std::vector<double> p, m(n, 0), v(n, 0);
  for (const real value : block.values().to_vector()) p.push_back(value);
  for (int64_t step = 0; step < 5; ++step) {
    std::vector<real> gradient(n);
    double norm = 0;
    for (int64_t i = 0; i < n; ++i) {
      gradient[i] = static_cast<real>(std::sin(3.0 * i + step));
      norm += gradient[i] * gradient[i];
    }
    norm = std::sqrt(norm);
    cpu_backend().upload(block.values().grad(), gradient.data(), sizeof(real) * n);
    const Tensor norm_squared(Shape{}, cpu_backend());
    optimizer.update(config, step, norm_squared.data());
    CHECK(std::sqrt(norm_squared.item()) == Approx(norm).epsilon(1e-5));
    const double rate = learning_rate(config, step);
    for (int64_t i = 0; i < n; ++i) {
      const double g = gradient[i] * std::min(1.0, 1 / norm);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double corrected_m = m[i] / (1 - std::pow(0.9, step + 1));
      const double corrected_v = v[i] / (1 - std::pow(0.95, step + 1));
      const double decay = i < block.decayed() ? 0.1 : 0;
      p[i] -= rate * (decay * p[i] + corrected_m / (std::sqrt(corrected_v) + 1e-8));
    }
    const auto now = block.values().to_vector();
    for (int64_t i = 0; i < n; ++i) CHECK(now[i] == Approx(p[i]).epsilon(1e-5).margin(1e-7));
    for (const real g : block.values().grad_to_vector()) CHECK(g == 0);
  }
}

TEST_CASE("the learning rate warms up and falls like a cosine") {
  Config config;
  config.rate = 2;
  config.warmup = 10;
  config.steps = 110;
  config.final_rate = 0.1;
  CHECK(learning_rate(config, 0) == Approx(0.2));
  CHECK(learning_rate(config, 9) == Approx(2));
  CHECK(learning_rate(config, 10) == Approx(2));
  CHECK(learning_rate(config, 60) == Approx(1.1));
  CHECK(learning_rate(config, 110) == Approx(0.2));
}

TEST_CASE("computing blocks again for the backward pass changes no bit and saves memory") {
  const TokenSource text = small_text(300);
  const auto run = [&](bool recompute, size_t& bytes) {
    Pool& pool = cpu_backend().pool();
    pool.trim();
    const size_t before = pool.held_bytes();
    Config config = small_run("rotary");
    config.model.blocks = 6;
    config.dropout = 0.3;
    config.recompute = recompute;
    Trainer trainer(config, text, cpu_backend());
    run_steps(trainer, 4);
    bytes = pool.held_bytes() - before;
    return values_of(trainer);
  };
  size_t kept = 0, again = 0;
  CHECK(run(false, kept) == run(true, again));
  CHECK(again < kept);
}

TEST_CASE("a model learns a text by heart") {
  TokenSource text = small_text(1000);
  text.read = [](int64_t begin, std::span<int32_t> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int32_t>((begin + i) * 5 % 13);
  };
  Config config = small_run("alibi");
  config.steps = 200;
  config.rate = 1e-2;
  Trainer trainer(config, text, cpu_backend());
  CHECK(trainer.step().loss == Approx(std::log(13)).epsilon(0.1));
  CHECK(run_steps(trainer, 199) < 0.02);
}

TEST_CASE("stopping and going on changes not a bit, for every scheme") {
  const TemporaryFolder folder;
  const TokenSource text = small_text(1000);
  for (const PositionEntry* entry : PositionEntry::all()) {
    Config config = small_run(entry->name);
    config.dropout = 0.1;
    config.accumulate = 2;
    Trainer whole(config, text, cpu_backend());
    run_steps(whole, 8);
    {
      Trainer first(config, text, cpu_backend());
      run_steps(first, 4);
      first.save(folder.path() / "checkpoint");
    }
    Trainer second(config, text, cpu_backend());
    second.resume(folder.path() / "checkpoint");
    CHECK(second.steps_taken() == 4);
    run_steps(second, 4);
    INFO(entry->name);
    CHECK(values_of(whole) == values_of(second));
  }
}

TEST_CASE("another seed gives another model") {
  const TokenSource text = small_text(1000);
  Config config = small_run("t5");
  Trainer a(config, text, cpu_backend()), b(config, text, cpu_backend());
  config.seed = 2;
  Trainer c(config, text, cpu_backend());
  CHECK(values_of(a) == values_of(b));
  CHECK(values_of(a) != values_of(c));
}

TEST_CASE("accumulated passes are one larger batch") {
  const TokenSource text = small_text(1000);
  Config config = small_run("rotary");
  config.batch = 4;
  Trainer large(config, text, cpu_backend());
  config.batch = 2;
  config.accumulate = 2;
  Trainer parts(config, text, cpu_backend());
  for (int i = 0; i < 3; ++i) {
    const auto a = large.step(), b = parts.step();
    CHECK(a.loss == Approx(b.loss).epsilon(1e-5));
    CHECK(a.norm == Approx(b.norm).epsilon(1e-4));
  }
}

TEST_CASE("after the first step no memory is taken from the system") {
  const TokenSource text = small_text(1000);
  Trainer trainer(small_run("kerple_log"), text, cpu_backend());
  trainer.step();
  const size_t held = cpu_backend().pool().held_bytes();
  run_steps(trainer, 3);
  CHECK(cpu_backend().pool().held_bytes() == held);
}

TEST_CASE("a step that blew up is found later, and nothing is saved behind it") {
  const TokenSource text = small_text(1000);
  const TemporaryFolder folder;
  Trainer trainer(small_run("none"), text, cpu_backend());
  real& value = trainer.parameters().values().data()[0];
  const real before = value;
  value = std::numeric_limits<real>::quiet_NaN();
  trainer.advance();
  value = before;
  trainer.advance();
  const std::string expected = "the loss or the gradient was not finite in a step up to 2";
  CHECK(contains(error_of([&] { trainer.result(); }), expected));
  CHECK(contains(error_of([&] { trainer.save(folder.path() / "model"); }), expected));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "model"));
}

TEST_CASE("a step that blows up leaves the parameters as they were") {
  const TokenSource text = small_text(1000);
  Trainer trainer(small_run("none"), text, cpu_backend());
  const Tensor& values = trainer.parameters().values();
  values.data()[0] = std::numeric_limits<real>::quiet_NaN();
  const auto before = values.to_vector();
  CHECK(contains(error_of([&] { trainer.step(); }), "the loss of step 1 is nan"));
  const auto after = values.to_vector();
  CHECK(std::equal(before.begin() + 1, before.end(), after.begin() + 1));
}

TEST_CASE("settings that make no sense are refused by name") {
  const TokenSource text = small_text(1000);
  const auto error_with = [&](const auto& change) {
    Config config = small_run("alibi");
    change(config);
    return error_of([&] { Trainer(config, text, cpu_backend()); });
  };
  CHECK(contains(error_with([](Config& c) { c.model.heads = 3; }), "heads = 3 does not divide"));
  CHECK(contains(error_with([](Config& c) { c.batch = 0; }), "batch must be 1 to"));
  CHECK(contains(error_with([](Config& c) { c.dropout = 1; }), "dropout must be in [0, 1)"));
  CHECK(contains(error_with([](Config& c) { c.model.windows = {1, 2}; }), "one window"));
  CHECK(contains(error_with([](Config& c) { c.model.length = 1000; }), "too few for one sequence"));
}

}  // namespace farsight
