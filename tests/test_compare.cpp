// Comparing runs: the tables, and what damaged or ambiguous evaluations lead to.
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/compare.h"
#include "train/plot.h"

namespace farsight {
namespace {

/// The folder of a run with an eval.csv of these lengths and perplexities.
std::filesystem::path run_of(const TemporaryFolder& folder, const std::string& name,
                             const std::vector<std::pair<int64_t, std::string>>& perplexities) {
  std::string csv = "length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte\n";
  for (const auto& [length, perplexity] : perplexities)
    csv += concat(length, ",", length, ",1000,4000,", perplexity, ",60.5,1.25\n");
  std::filesystem::create_directories(folder.path() / name);
  return folder.write(name + "/eval.csv", csv).parent_path();
}

std::string comparison_error(const std::vector<std::filesystem::path>& runs,
                             const std::filesystem::path& out) {
  return error_of([&] { compare({runs, out}); });
}

}  // namespace

TEST_CASE("compare refuses what is no finite number and writes nothing") {
  const TemporaryFolder folder;
  const auto good = run_of(folder, "good", {{128, "55.5"}, {256, "54.25"}});
  for (const std::string value : {"nan", "inf", "-inf", "1e999", "", "ten", "0", "-3"}) {
    const auto bad = run_of(folder, "bad", {{128, "55.5"}, {256, value}});
    const std::string error = comparison_error({good, bad}, folder.path() / "out");
    INFO(value << ": " << error);
    CHECK(contains(error, "bad/eval.csv:3: "));
    CHECK(contains(error, "token_ppl"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "out"));
  }
  folder.write("good/recall.csv",
               "length,min_distance,max_distance,targets,loss,accuracy,best_loss\n"
               "128,8,16,100,nan,0.5,0.25\n");
  CHECK(contains(comparison_error({good}, folder.path() / "out"),
                 "good/recall.csv:2: expected a finite number in column loss, not 'nan'"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "out"));
}

TEST_CASE("a plot takes finite points only") {
  const TemporaryFolder folder;
  Plot plot;
  plot.x_ticks = {1, 2};
  plot.curves = {{"a", {{1, 1}, {2, NAN}}}, {"b", {{1, 1}, {2, 3}}}};
  CHECK_THROWS_AS(write_plot(folder.path() / "plot", plot), Error);
  plot.curves = {{"a", {}}};
  CHECK_THROWS_AS(write_plot(folder.path() / "plot", plot), Error);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a plot's path may hold quotes, backticks and spaces") {
  const TemporaryFolder folder;
  Plot plot;
  plot.x_ticks = {1, 2};
  plot.curves = {{"a", {{1, 1}, {2, 2}}}};
  for (const std::string name : {"it's", "two words", "`echo ran`", "$(echo ran)", "\"quoted\""}) {
    const std::string stem = folder.path() / name / name;
    INFO(stem);
    const bool drawn = write_plot(stem, plot);
    CHECK(std::filesystem::exists(stem + ".gp"));
    if (!drawn) continue;  // no gnuplot here
    CHECK(std::filesystem::exists(stem + ".svg"));
    CHECK(std::filesystem::exists(stem + ".png"));
  }
}

}  // namespace farsight
