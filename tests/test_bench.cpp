// The benchmark's own arithmetic: what it accepts, what it reports, what it keeps in memory.
#include "tests/catch.h"
#include "tests/small_model.h"
#include "train/bench.h"

namespace farsight {
namespace {

BenchOptions small_bench(const std::string& mode, const std::string& numbers) {
  BenchOptions options;
  options.mode = mode;
  options.numbers = numbers;
  options.position = "none";
  options.steps = 2;
  return options;
}

}  // namespace

TEST_CASE("bench takes six positive numbers and nothing else") {
  for (const std::string numbers :
       {"1,8,2,11,8,99999999999999999999", "99999999999999999999,8,2,11,8,1", "1,8,2,11,8", "1,8,2",
        "1,8,2,11,8,1,1", "1,8,2,11,8,1 ", "1,8,2,11,8,", "1,8,2,11,8,0", "1,-8,2,11,8,1",
        "a,8,2,11,8,1", "1;8;2;11;8;1"}) {
    const std::string error = error_of([&] { bench_steps(small_bench("eval", numbers)); });
    INFO(numbers << ": " << error);
    CHECK(contains(error, "--numbers takes six positive numbers"));
  }
}

TEST_CASE("bench reports the same model in both modes, and evaluates without gradients") {
  // The embedding; query, key, value and output; feed-forward layers; the block's norms; the last.
  const int64_t expected = 11 * 8 + 4 * (8 * 8 + 8) + 2 * 8 * 32 + 32 + 8 + 4 * 8 + 16;
  for (const std::string mode : {"train", "eval"}) {
    const BenchOptions options = small_bench(mode, "1,8,2,11,8,3");
    const nlohmann::json result = to_json(bench_steps(options), options);
    CHECK(result.at("mode") == mode);
    CHECK(result.at("parameters") == expected);
    CHECK(result.at("position") == "none");
    CHECK(result.at("tokens_per_second") > 0);
  }
  // With so many words the parameters outweigh the activations.
  const auto held = [](const std::string& mode) {
    Pool& pool = cpu_backend().pool();
    pool.trim();
    const size_t before = pool.held_bytes();
    bench_steps(small_bench(mode, "1,64,2,20000,2,1"));
    const size_t used = pool.held_bytes() - before;
    pool.trim();
    return used;
  };
  CHECK(held("eval") < held("train") / 3);
}

}  // namespace farsight
