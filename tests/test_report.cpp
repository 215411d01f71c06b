// The report: everything on one page, and nothing outside it.
#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/html.h"
#include "train/report.h"
#include "train/sweep.h"

namespace farsight {

TEST_CASE("HTML says what was meant") {
  CHECK(html_text("a < b & \"c\" > d") == "a &lt; b &amp; &quot;c&quot; &gt; d");
  const std::string table = html_table({"<t>", {{"run", "x"}, {"heading"}, {"a&b", "1"}}});
  CHECK(contains(table, "<caption>&lt;t&gt;</caption>"));
  CHECK(contains(table, "<tr><th>run</th><th>x</th></tr>"));
  CHECK(contains(table, "<th colspan=\"2\">heading</th>"));
  CHECK(contains(table, "<tr><td>a&amp;b</td><td>1</td></tr>"));
  // RFC 4648's examples.
  const std::pair<std::string, std::string> samples[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, encoded] : samples)
    CHECK(contains(html_download("x.csv", text), "href=\"data:text/csv;base64," + encoded + "\""));
}

TEST_CASE("a report holds every section that runs have left something for") {
  const TemporaryFolder folder;
  SweepOptions options;
  options.base = small_run("alibi");
  options.base.steps = 3;
  options.base.log_every = 1;
  options.base.out = folder.path() / "sweep";
  options.vary = {"position=alibi,none"};
  options.lengths = {8, 16};
  options.sequences = 3;
  const TokenSource text = small_text(300), valid = small_text(120);
  std::ostringstream say;
  sweep(options, text, valid, {}, cpu_backend(), say);
  folder.write(
      "sweep/none/cost.csv",
      "case,length,targets,token_ppl,eval_tokens_per_second,eval_peak_mib,"
      "generate_tokens_per_second,cache_mib,generate_peak_mib\n"
      "none full,8,80,12.5,1000,20,500,0.25,21\nnone full,16,80,12.25,900,20,400,0.5,21\n");

  const auto runs = {folder.path() / "sweep/alibi", folder.path() / "sweep/none"};
  const auto page = folder.path() / "report.html";
  const std::string error = error_of([&] { write_report(runs, page, "Two <runs>"); });
  if (contains(error, "gnuplot was not found")) {
    WARN("the report was not tested: " << error);
    return;
  }
  REQUIRE(error.empty());
  const std::string html = folder.read("report.html");
  CHECK(contains(html, "<title>Two &lt;runs&gt;</title>"));
  for (const std::string title :
       {"What was trained", "Training", "Beyond the training length", "Receptive fields",
        "Loss by position", "Where the heads look", "What a context costs"})
    CHECK(contains(html, "<h2>" + title + "</h2>"));
  CHECK_FALSE(contains(html, "Recall by distance"));  // there were no marks
  for (const std::string name : {"training.csv", "extrapolation.csv", "field_curves.csv",
                                 "position.csv", "alibi_attention.csv", "cost.csv"})
    CHECK(contains(html, "<a download=\"" + name + "\""));
  for (const std::string outside : {"http:", "https:", "<script", "<link"})
    CHECK_FALSE(contains(html, outside));

  std::filesystem::remove(folder.path() / "sweep/none/eval.csv");
  CHECK(contains(error_of([&] { write_report(runs, page, "x"); }), "none: is no finished run"));
  folder.write("sweep/alibi/field_curves.csv", "model,length\nalibi,8\n");
  CHECK(contains(error_of([&] { write_report({folder.path() / "sweep/alibi"}, page, "x"); }),
                 "field_curves.csv: has no column 'share'"));
  CHECK(folder.read("report.html") == html);
}

}  // namespace farsight
