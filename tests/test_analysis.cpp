// Receptive fields, attention maps and loss by position.
#include <cmath>
#include <numeric>
#include <sstream>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/attention_map.h"
#include "train/evaluate.h"
#include "train/field_report.h"
#include "train/position_report.h"

namespace farsight {
namespace {

ReceptiveField field_of(LanguageModel& model, int64_t length, int64_t tokens_per_pass = 4096) {
  FieldOptions options;
  options.length = length;
  options.sequences = 5;
  options.tokens_per_pass = tokens_per_pass;
  return receptive_field(model, small_text(200), options);
}

AttentionMap map_of(LanguageModel& model, int64_t length, int64_t tokens_per_pass = 8192) {
  AttentionMapOptions options;
  options.length = length;
  options.sequences = 5;
  options.tokens_per_pass = tokens_per_pass;
  return attention_map(model, small_text(200), options);
}

}  // namespace

TEST_CASE("windows bound the receptive field, exactly") {
  ModelConfig config = small_model("alibi");
  config.blocks = 3;
  config.windows = {2, 4, 3, 1};
  LanguageModel model(config, 1, cpu_backend());
  const ReceptiveField field = field_of(model, 40);
  CHECK(field.theoretical == 3 * (4 - 1) + 1);
  for (int64_t d = 0; d < 40; ++d) {
    INFO(d);
    CHECK((field.share[d] > 0) == (d < field.theoretical));
  }
  CHECK(field.empirical <= field.theoretical);
  CHECK(field_of(model, 6).theoretical == 6);
  config.windows = {2, 4, 0, 1};
  LanguageModel unlimited(config, 1, cpu_backend());
  CHECK(field_of(unlimited, 40).theoretical == 40);
}

TEST_CASE("a receptive field is the share of the gradient, by distance") {
  LanguageModel model(small_model("sandwich"), 1, cpu_backend());
  const ReceptiveField field = field_of(model, 20);
  CHECK(std::accumulate(field.share.begin(), field.share.end(), 0.0) == Approx(1));
  double held = 0;
  for (int64_t d = 0; d < field.empirical; ++d) held += field.share[d];
  CHECK(held >= 0.99);
  CHECK(held - field.share[field.empirical - 1] < 0.99);

  // The same from differences of the probability itself, of one sequence, in one direction each.
  FieldOptions options;
  options.length = 6;
  options.sequences = 1;
  const ReceptiveField one = receptive_field(model, small_text(200), options);
  const Ids tokens = small_ids(0, 6), target = small_ids(6, 1);
  std::vector<double> norms;
  for (int64_t m = 5; m >= 0; --m) {
    double squares = 0;
    for (int64_t c = 0; c < 16; ++c) {
      const auto probability = [&](real step) {
        std::vector<real> x = model.embed(tokens, 1).to_vector();
        x[m * 16 + c] += step;
        const Tensor rows = model.hidden(Tensor::from({1, 6, 16}, x, cpu_backend()));
        const Tensor last = embedding(rows, Ids(std::vector<int32_t>{5}, cpu_backend()));
        return std::exp(-cross_entropy(last, model.head(), target).item());
      };
      const double slope = (probability(real(1e-2)) - probability(real(-1e-2))) / 2e-2;
      squares += slope * slope;
    }
    norms.push_back(std::sqrt(squares));
  }
  const double total = std::accumulate(norms.begin(), norms.end(), 0.0);
  for (size_t d = 0; d < norms.size(); ++d)
    CHECK(one.share[d] == Approx(norms[d] / total).epsilon(0.03));
}

TEST_CASE("receptive fields and maps do not depend on how many sequences share a pass") {
  LanguageModel model(small_model("rotary"), 1, cpu_backend());
  const ReceptiveField together = field_of(model, 20), apart = field_of(model, 20, 1);
  for (int64_t d = 0; d < 20; ++d) CHECK(together.share[d] == Approx(apart.share[d]));
  const AttentionMap map = map_of(model, 20), map_apart = map_of(model, 20, 1);
  for (size_t h = 0; h < map.heads.size(); ++h) {
    CHECK(map.heads[h].entropy == Approx(map_apart.heads[h].entropy));
    for (int64_t d = 0; d < 20; ++d)
      CHECK(map.heads[h].mass[d] == Approx(map_apart.heads[h].mass[d]).margin(1e-6));
  }
}

TEST_CASE("an attention map shows windows and sums to one") {
  ModelConfig config = small_model("none");
  config.windows = {1, 3, 0, 0};
  LanguageModel model(config, 1, cpu_backend());
  const AttentionMap map = map_of(model, 20);
  REQUIRE(map.heads.size() == 8);
  for (const HeadAttention& head : map.heads) {
    CHECK(std::accumulate(head.mass.begin(), head.mass.end(), 0.0) == Approx(1));
    if (head.head == 1) CHECK(head.window(0.99) == 1);
    if (head.head == 2) CHECK(head.window(0.99) == 3);
    if (head.head == 3) CHECK(head.window(0.99) > 10);
  }
}

TEST_CASE("what cannot be analysed is refused") {
  LanguageModel model(small_model("learned"), 1, cpu_backend());
  CHECK(contains(error_of([&] { field_of(model, 9); }), "cannot reach 9"));
  CHECK(contains(error_of([&] { field_of(model, 0); }), "must be positive"));
  LanguageModel large(small_model("none"), 1, cpu_backend());
  CHECK(contains(error_of([&] { field_of(large, 197); }), "too few for 5 different sequences"));
  TokenSource text = small_text(int64_t{1} << 40);
  FieldOptions options;
  options.length = int64_t{1} << 36;
  CHECK(contains(error_of([&] { receptive_field(large, text, options); }), "needs about"));
  AttentionMapOptions map_options;
  map_options.length = int64_t{1} << 36;
  CHECK(contains(error_of([&] { attention_map(large, text, map_options); }), "needs about"));
}

TEST_CASE("loss by position adds up to the whole loss") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  EvaluationOptions options;
  options.length = 20;
  const Evaluation e = evaluate(model, small_text(95), options);
  double nll = 0;
  int64_t next = 1;
  for (const PositionBucket& bucket : e.by_position) {
    CHECK(bucket.min_context == next);
    next = bucket.max_context;
    nll += bucket.loss * bucket.targets;
  }
  CHECK(nll == Approx(e.nll));
  CHECK(next == 21);
  // Windows of 20, 20, 20, 20 and 14 targets: five have a target behind 8, four behind 15 to 18.
  CHECK(e.by_position[0].targets == 5);
  const PositionBucket& bucket = e.by_position[e.by_position.size() - 2];
  CHECK(bucket.min_context == 17);
  CHECK(bucket.targets == 4 * 3);
}

TEST_CASE("reports of an analysis name the files that they leave") {
  const TemporaryFolder folder;
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  const NamedFields fields{{"first", field_of(model, 20)}, {"second", field_of(model, 8)}};
  CHECK(contains(field_table(fields),
                 "model   length  theoretical  empirical\n"
                 "first       20           20         "));
  std::istringstream files(write_field_report(folder.path(), fields, 8) +
                           write_attention_report(folder.path(), {map_of(model, 20)}, 0.99));
  for (std::string file; std::getline(files, file);) {
    INFO(file);
    CHECK((std::filesystem::exists(file) || contains(file, "gnuplot was not found")));
  }
  CHECK(contains(folder.read("field.csv"), "\nsecond,8,5,0.99,"));
  CHECK(contains(folder.read("field_curves.csv"), "\nsecond,8,8,"));
  CHECK(contains(folder.read("windows.csv"), "\n20,2,4,0.99,"));
  CHECK(contains(folder.read("attention.csv"), "\n20,1,1,19,"));
}

}  // namespace farsight
