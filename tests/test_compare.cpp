// Comparing runs: the tables, and what damaged or ambiguous evaluations lead to.
#include <algorithm>
#include <cmath>
#include <regex>

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

TEST_CASE("labels of curves that end close together stand apart, in order and inside") {
  const TemporaryFolder folder;
  Plot plot;
  plot.log_y = true;
  plot.x_ticks = {1, 2};
  for (const double end : {2200.0, 121.0, 120.2, 119.5, 119.5, 250.0, 2100.0, 2000.0, 2190.0})
    plot.curves.push_back({concat("to ", end), {{1, 130}, {2, end}}});
  write_plot(folder.path() / "plot", plot);
  std::istringstream script(folder.read("plot.gp"));
  std::vector<std::pair<double, double>> heights;  // of each curve's end and label
  const std::regex label("set label 'to ([0-9.]+)' at graph [0-9.]+, graph ([0-9.e-]+) .*");
  std::smatch match;
  for (std::string line; std::getline(script, line);)
    if (std::regex_match(line, match, label))
      heights.emplace_back(std::stod(match[1]), std::stod(match[2]));
  std::sort(heights.begin(), heights.end());
  REQUIRE(heights.size() == plot.curves.size());
  CHECK(heights.front().second >= 0);
  CHECK(heights.back().second <= 1);
  for (size_t i = 1; i < heights.size(); ++i) {
    INFO(heights[i].first);
    CHECK(heights[i].second - heights[i - 1].second > 0.049);
  }
  // 250 stands alone, so its label is level with it; the axis has a margin of 5 % at each end.
  const double share = std::log(250 / 119.5) / std::log(2200 / 119.5);
  CHECK(heights[4].second == Approx((share + 0.05) / 1.1).margin(1e-6));
}

TEST_CASE("a logarithmic axis has round numbers on it, also where it spans little") {
  const TemporaryFolder folder;
  const auto ticks = [&](double low, double high) {
    Plot plot;
    plot.log_y = true;
    plot.x_ticks = {1, 2};
    plot.curves = {{"a", {{1, low}, {2, high}}}};
    write_plot(folder.path() / "plot", plot);
    const std::string script = folder.read("plot.gp");
    const size_t begin = script.find("set ytics (");
    REQUIRE(begin != std::string::npos);
    const std::string line = script.substr(begin, script.find('\n', begin) - begin);
    INFO(line);
    const auto count = std::count(line.begin(), line.end(), ',') + 1;
    CHECK(count >= 4);
    CHECK(count <= 12);
    return line;
  };
  CHECK(contains(ticks(119, 128), "\"120\" 120, \"122\" 122, "));
  CHECK(contains(ticks(119, 2200), "\"1000\" 1000"));
  ticks(1.01, 1.02);
  ticks(7, 25);
  ticks(7, 30);
  ticks(7, 3e9);
  ticks(50, 50);
}

}  // namespace farsight
