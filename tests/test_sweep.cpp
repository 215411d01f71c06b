// Sweeps: which runs they make, that nothing is done twice, and what they collect.
#include <sstream>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/csv.h"
#include "train/sweep.h"

namespace farsight {
namespace {

SweepOptions small_sweep(const TemporaryFolder& folder) {
  SweepOptions options;
  options.base = small_run("alibi");
  options.base.steps = 3;
  options.base.out = folder.path() / "sweep";
  options.vary = {"position=alibi,sandwich", "seed=1,2"};
  options.lengths = {16, 8};
  options.sequences = 3;
  return options;
}

/// What a sweep over the small text prints.
std::string output_of(const SweepOptions& options) {
  const TokenSource text = small_text(300), valid = small_text(120);
  std::ostringstream say;
  const bool finished =
      sweep(options, text, valid, {{20, 4, 13}, {50, 30, 13}}, cpu_backend(), say);
  CHECK(finished);
  return say.str();
}

std::string sweep_error(const SweepOptions& options) {
  return error_of([&] { output_of(options); });
}

std::filesystem::file_time_type written(const TemporaryFolder& folder, const std::string& file) {
  return std::filesystem::last_write_time(folder.path() / "sweep" / file);
}

}  // namespace

TEST_CASE("a sweep makes every combination, the first setting varying slowest") {
  const TemporaryFolder folder;
  SweepOptions options = small_sweep(folder);
  options.vary = {"alibi-shift=-2,0.5"};
  CHECK(sweep_runs(options)[0].name == "alibi-shift=-2");
  CHECK(sweep_runs(options)[1].name == "alibi-shift=0.5");
  options.vary = {"window=1/2/3/0"};
  CHECK(sweep_runs(options)[0].name == "window=1-2-3-0");
  CHECK(sweep_runs(options)[0].config.model.windows == std::vector<int64_t>{1, 2, 3, 0});
  options.vary = {"position=alibi,none", "window=3,0", "seed=7", "rate=1e-3,0.5"};
  const std::vector<SweepRun> runs = sweep_runs(options);
  REQUIRE(runs.size() == 8);
  CHECK(runs[0].name == "alibi_window=3_seed=7_rate=0.001");
  CHECK(runs[0].group == "alibi_window=3_rate=0.001");
  CHECK(runs[1].name == "alibi_window=3_seed=7_rate=0.5");
  CHECK(runs[7].name == "none_window=0_seed=7_rate=0.5");
  CHECK(runs[7].config.model.position == "none");
  CHECK(runs[7].config.model.windows == std::vector<int64_t>{0});
  CHECK(runs[7].config.rate == 0.5);
  CHECK(runs[7].config.seed == 7);
  CHECK(runs[7].config.out == folder.path() / "sweep" / runs[7].name);
}

TEST_CASE("a sweep refuses what it cannot vary, before it starts") {
  const TemporaryFolder folder;
  const auto error = [&](const std::vector<std::string>& vary) {
    SweepOptions options = small_sweep(folder);
    options.vary = vary;
    return sweep_error(options);
  };
  CHECK(contains(error({}), "nothing to vary"));
  CHECK(contains(error({"position"}), "SETTING=VALUE,VALUE"));
  CHECK(contains(error({"positon=alibi"}), "nearest known one is 'position'"));
  CHECK(contains(error({"seed="}), "a value is empty"));
  CHECK(contains(error({"seed=1,"}), "a value is empty"));
  CHECK(contains(error({"seed=-1"}), "'-1' is not a whole number >= 0"));
  CHECK(contains(error({"rate=1e-3,0.001"}), "0.001 twice"));
  CHECK(contains(error({"seed=1, 1"}), "twice"));
  CHECK(contains(error({"rate=nan"}), "'nan' is not a number"));
  CHECK(contains(error({"tied=yes"}), "neither true nor false"));
  CHECK(contains(error({"position=none,learned"}), "the run learned: the scheme 'learned' has 8"));
  CHECK(contains(error({"length=4,200"}), "the run length=200: "));
  CHECK(contains(error({"seed=1,,2"}), "a value is empty"));
  CHECK(contains(error({"seed=1,1"}), "1 twice"));
  CHECK(contains(error({"seed=1", "seed=2"}), "varied twice"));
  CHECK(contains(error({"out=a,b"}), "cannot be varied"));
  CHECK(contains(error({"steps=3,many"}), "steps: 'many' is not a whole number"));
  CHECK(contains(error({"steps=1.5"}), "'1.5' is not a whole number"));
  CHECK(
      contains(error({"position=alibi,alibye"}), "the run alibye: there is no positional scheme"));
  CHECK(contains(error({"heads=4,3"}), "the run heads=3: heads = 3 does not divide"));
  CHECK(contains(error({"batch=0"}), "the run batch=0: batch must be"));
  SweepOptions options = small_sweep(folder);
  options.lengths = {8, 120};
  CHECK(contains(sweep_error(options), "too few for one window of 120"));
  options.lengths = {8, 8};
  CHECK(contains(sweep_error(options), "a length is there twice"));
  options = small_sweep(folder);
  options.sequences = 999;
  CHECK(contains(sweep_error(options), "too few for 999 different sequences"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "sweep"));
}

TEST_CASE("a sweep trains, measures and collects") {
  const TemporaryFolder folder;
  const SweepOptions options = small_sweep(folder);
  const std::string said = output_of(options);
  CHECK(contains(said, "== sandwich_seed=2 (4 of 4) =="));
  CHECK(contains(said, "8 (1x)"));
  CHECK(contains(said, "field at 8"));
  const auto sweep_csv = folder.path() / "sweep" / "sweep.csv";
  const Csv csv = read_csv(sweep_csv);
  REQUIRE(csv.rows() == 4);
  CHECK(csv.text(2, "position") == "sandwich");
  CHECK(csv.integer(2, "seeds") == 2);
  CHECK(csv.integer(2, "length") == 8);
  const auto of_seed = [&](const std::string& file, const std::string& column, int seed) {
    const auto run = concat("sandwich_seed=", seed);
    return read_csv(folder.path() / "sweep" / run / file).number(0, column);
  };
  const double a = of_seed("eval.csv", "token_ppl", 1), b = of_seed("eval.csv", "token_ppl", 2);
  CHECK(a != b);
  CHECK(csv.number(2, "token_ppl") == Approx((a + b) / 2));
  CHECK(csv.number(2, "token_ppl_sd") == Approx(std::fabs(a - b) / std::sqrt(2)));
  CHECK(csv.number(2, "empirical") ==
        Approx((of_seed("field.csv", "empirical", 1) + of_seed("field.csv", "empirical", 2)) / 2));
}

TEST_CASE("a sweep skips what is done and does again what is not") {
  const TemporaryFolder folder;
  SweepOptions options = small_sweep(folder);
  options.vary = {"position=alibi,none"};
  output_of(options);
  const auto trained = written(folder, "none/checkpoint.safetensors");
  const auto evaluated = written(folder, "none/eval.csv");
  CHECK(contains(output_of(options), "trained already: "));
  CHECK(written(folder, "none/checkpoint.safetensors") == trained);
  CHECK(written(folder, "none/eval.csv") == evaluated);

  folder.write("sweep/none/field.csv", "");  // damaged
  output_of(options);
  CHECK(contains(folder.read("sweep/none/field.csv"), "none,8,3,"));

  options.lengths = {8, 16, 32};
  output_of(options);
  CHECK(written(folder, "none/checkpoint.safetensors") == trained);
  CHECK(written(folder, "none/eval.csv") != evaluated);

  options.base.rate = 0.5;
  const std::string error = sweep_error(options);
  CHECK(contains(error, "was trained with other settings: rate = 0.5 (was 0.003)"));
  CHECK(contains(error, "use another --out"));
}

}  // namespace farsight
