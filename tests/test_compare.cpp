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

/// A recall.csv of one length: 100 targets at each distance but the last, which has one.
std::string recall_of(const std::vector<int64_t>& distances) {
  std::string csv = "length,min_distance,max_distance,targets,loss,accuracy,best_loss\n";
  for (const int64_t distance : distances)
    csv += concat("128,", distance, ",", 2 * distance, ",", distance == distances.back() ? 1 : 100,
                  ",1.125,0.5,0.25\n");
  return csv;
}

std::string comparison_error(const std::vector<std::filesystem::path>& runs,
                             const std::filesystem::path& out) {
  return error_of([&] { compare({single_runs(runs), out}); });
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

TEST_CASE("compare refuses what is ambiguous and says which file or folder it is") {
  const TemporaryFolder folder;
  const auto out = folder.path() / "out";
  const auto one = run_of(folder, "one", {{128, "50"}, {256, "49"}});
  const auto twice = run_of(folder, "twice", {{128, "50"}, {256, "49"}, {256, "48"}});
  CHECK(contains(comparison_error({one, twice}, out),
                 "twice/eval.csv:4: evaluated at length 256 twice; compare needs one row per "
                 "length"));
  const auto same = run_of(folder, "other/one", {{128, "50"}, {256, "49"}});
  CHECK(contains(comparison_error({one, same}, out), "are both called one"));
  CHECK(contains(comparison_error({one, one / "."}, out), "are both called one"));
  for (const std::string name : {"a,b", "a\"b", "a\nb"})
    CHECK(contains(comparison_error({run_of(folder, name, {{128, "50"}})}, out),
                   "rename the folder"));
  const auto longer = run_of(folder, "longer", {{128, "50"}, {512, "49"}});
  CHECK(contains(comparison_error({one, longer}, out), "not evaluated at the same lengths"));
  folder.write("longer/eval.csv",
               "length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte\n"
               "128,128,9,9,50,60,1\n256,64,9,9,49,60,1\n");
  CHECK(contains(comparison_error({one, longer}, out), "strides"));
  folder.write("one/recall.csv", recall_of({8, 16, 8, 32}));
  CHECK(contains(comparison_error({one}, out),
                 "one/recall.csv:4: recall at length 128 and distance 8 twice"));
  std::filesystem::remove(folder.path() / "one/recall.csv");
  folder.write("one/field.csv", "model,length,empirical\none,128,90\none,128,91\n");
  CHECK(contains(comparison_error({one}, out), "one/field.csv:3: length 128 twice"));
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("compare shows perplexity, and recall beside the best possible, in aligned columns") {
  const TemporaryFolder folder;
  const auto a = run_of(folder, "a", {{128, "55.5"}, {1024, "1054.256"}});
  const auto b = run_of(folder, "a_longer_name_than_most", {{128, "5.125"}, {1024, "4"}});
  folder.write("a/recall.csv", recall_of({8, 16, 4096}));
  folder.write("a_longer_name_than_most/recall.csv", recall_of({8, 16, 4096}));
  const std::string report = compare({single_runs({a, b}), folder.path() / "out"});
  CHECK(contains(report,
                 "Perplexity per token by evaluation length (trained at 128)\n"
                 "run                      128 (1x)  1024 (8x)\n"
                 "a                           55.50    1054.26\n"
                 "a_longer_name_than_most      5.12       4.00\n"));
  // The single target at distance 4096 is in the CSV alone.
  CHECK(contains(report,
                 "Recall by distance, evaluated at 128\n"
                 "                           8-15  16-31\n"
                 "accuracy in %\n"
                 "  a                        50.0   50.0\n"
                 "  a_longer_name_than_most  50.0   50.0\n"
                 "loss in nats\n"
                 "  a                        1.12   1.12\n"
                 "  a_longer_name_than_most  1.12   1.12\n"
                 "  best possible            0.25   0.25\n"));
  CHECK(contains(folder.read("out/recall.csv"), "a,128,4096,8192,1,1.125,0.5,0.25\n"));
  CHECK(folder.read("out/extrapolation.csv") ==
        "run,length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte\n"
        "a,128,128,1000,4000,55.5,60.5,1.25\n"
        "a,1024,1024,1000,4000,1054.256,60.5,1.25\n"
        "a_longer_name_than_most,128,128,1000,4000,5.125,60.5,1.25\n"
        "a_longer_name_than_most,1024,1024,1000,4000,4,60.5,1.25\n");
  CHECK_FALSE(contains(folder.read("out/recall.gp"), "4096"));
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
