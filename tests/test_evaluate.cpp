// Evaluation: windows, strides, averages and recall.
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"
#include "train/evaluate.h"

namespace farsight {
namespace {

Evaluation evaluate_small(LanguageModel& model, int64_t size, int64_t length, int64_t stride) {
  EvaluationOptions options;
  options.length = length;
  options.stride = stride;
  return evaluate(model, small_text(size), options);
}

/// The loss of predicting token `target` from the tokens from `begin` on.
double loss_at(LanguageModel& model, int64_t begin, int64_t target) {
  const int64_t T = target - begin;
  return model.losses(small_ids(begin, T), small_ids(begin + 1, T), 1).to_vector().back();
}

}  // namespace

TEST_CASE("windows without overlap score every token but the first") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  for (const int64_t size : {9, 10, 50}) {
    double expected = 0;
    for (int64_t target = 1; target < size; ++target)
      expected += loss_at(model, (target - 1) / 8 * 8, target);
    const Evaluation e = evaluate_small(model, size, 8, 0);
    CHECK(e.targets == size - 1);
    CHECK(e.nll == Approx(expected).epsilon(1e-5));
    CHECK(e.token_ppl == Approx(std::exp(expected / (size - 1))).epsilon(1e-5));
    CHECK(e.word_ppl == Approx(std::exp(expected / size)).epsilon(1e-5));
    CHECK(e.bits_per_byte == Approx(expected / (std::log(2) * 5 * size)).epsilon(1e-5));
  }
}

TEST_CASE("a sliding window scores its last targets") {
  LanguageModel model(small_model("rotary"), 1, cpu_backend());
  const int64_t length = 10, stride = 3, size = 45;
  double expected = 0;
  for (int64_t target = 1; target < size; ++target) {
    // The first window that reaches the target.
    int64_t begin = 0;
    while (begin + length < target) begin += stride;
    expected += loss_at(model, begin, target);
  }
  const Evaluation e = evaluate_small(model, size, length, stride);
  CHECK(e.targets == size - 1);
  CHECK(e.nll == Approx(expected).epsilon(1e-5));
}

TEST_CASE("a stride of the whole length means no overlap") {
  LanguageModel model(small_model("sandwich"), 1, cpu_backend());
  CHECK(evaluate_small(model, 45, 7, 7).nll == evaluate_small(model, 45, 7, 0).nll);
  CHECK(evaluate_small(model, 45, 7, 6).nll != evaluate_small(model, 45, 7, 0).nll);
}

TEST_CASE("recall is counted by distance, with the best possible loss") {
  LanguageModel model(small_model("none"), 1, cpu_backend());
  const std::vector<RecallMark> marks{{5, 2, 4}, {11, 3, 4}, {17, 3, 4}, {18, 9, 4}, {30, 8, 4}};
  EvaluationOptions options;
  options.length = 8;
  options.marks = &marks;
  const Evaluation e = evaluate(model, small_text(45), options);
  REQUIRE(e.recall.size() == 2);
  CHECK(e.recall[0].min_distance == 2);
  CHECK(e.recall[0].max_distance == 4);
  CHECK(e.recall[0].targets == 3);
  CHECK(e.recall[0].loss ==
        Approx((loss_at(model, 0, 5) + loss_at(model, 8, 11) + loss_at(model, 16, 17)) / 3)
            .epsilon(1e-5));
  // Target 17 is predicted in the window that begins at 16; token 14 is not in it. Target 11's is
  // the first of its window, with nothing before it to know it by.
  CHECK(e.recall[0].best_loss == Approx(std::log(4) * 2 / 3));
  CHECK(e.recall[1].targets == 2);
  CHECK(e.recall[1].best_loss == Approx(std::log(4)));
}

TEST_CASE("evaluation refuses what it cannot do") {
  LanguageModel model(small_model("learned"), 1, cpu_backend());
  CHECK(contains(error_of([&] { evaluate_small(model, 45, 9, 0); }), "cannot reach 9"));
  CHECK(contains(error_of([&] { evaluate_small(model, 1, 8, 0); }), "too few for one window of 8"));
  CHECK(contains(error_of([&] { evaluate_small(model, 45, 8, 9); }), "stride"));
  TokenSource other = small_text(45);
  other.vocabulary = 14;
  EvaluationOptions options;
  options.length = 8;
  CHECK(contains(error_of([&] { evaluate(model, other, options); }), "a vocabulary of 14"));
}

}  // namespace farsight
