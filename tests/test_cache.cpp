// Generating token by token: the same as one forward pass over everything, in less memory.
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"

namespace farsight {
namespace {

/// The largest difference between scores computed token by token, after a first few at once, and
/// those of forward passes over the whole text so far.
double largest_difference(LanguageModel& model, int64_t first, int64_t tokens) {
  Memory memory = model.new_memory();
  double largest = 0;
  for (int64_t seen = 0; seen < tokens;) {
    const int64_t count = seen == 0 ? first : 1;
    const auto step = model.next_logits(small_ids(seen, count), memory).to_vector();
    seen += count;
    Memory fresh = model.new_memory();
    const auto whole = model.next_logits(small_ids(0, seen), fresh).to_vector();
    for (size_t i = 0; i < whole.size(); ++i)
      largest = std::max(largest, static_cast<double>(std::fabs(step[i] - whole[i])));
  }
  return largest;
}

}  // namespace

TEST_CASE("every scheme: token by token is the same as the whole text at once") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    ModelConfig config = small_model(entry->name);
    config.length = 70;
    config.deviation = 0.3;  // scores far from equal
    for (const std::vector<int64_t>& windows : {std::vector<int64_t>{}, {1, 5, 64, 0}}) {
      config.windows = windows;
      LanguageModel model(config, 1, cpu_backend());
      INFO(entry->name << ", windows " << windows.size());
      CHECK(largest_difference(model, 3, 70) < 1e-4);
      CHECK(largest_difference(model, 40, 70) < 1e-4);
    }
  }
}

TEST_CASE("next_logits are the scores behind the losses") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  Memory memory = model.new_memory();
  const auto logits = model.next_logits(small_ids(0, 9), memory).to_vector();
  double total = 0;
  for (const real logit : logits) total += std::exp(static_cast<double>(logit));
  const auto target = static_cast<size_t>([] {
    std::vector<int32_t> token(1);
    small_text(10).read(9, token);
    return token[0];
  }());
  const auto losses = model.losses(small_ids(0, 9), small_ids(1, 9), 1).to_vector();
  CHECK(std::log(total) - logits[target] == Approx(losses[8]).epsilon(1e-5));
}

TEST_CASE("a windowed cache stops growing once its windows are full") {
  const auto held = [](int64_t tokens, std::vector<int64_t> windows) {
    ModelConfig config = small_model("alibi");
    config.windows = std::move(windows);
    LanguageModel model(config, 1, cpu_backend());
    Pool& pool = cpu_backend().pool();
    Memory memory = model.new_memory();
    for (int64_t t = 0; t < tokens; ++t) model.next_logits(small_ids(t, 1), memory);
    pool.trim();
    return pool.held_bytes();
  };
  CHECK(held(600, {8, 16, 16, 32}) == held(64, {8, 16, 16, 32}));
  // Keys and values of four heads of width 4 in two blocks; the scheme's table and the model's
  // copy of four biases for each distance.
  CHECK(held(600, {}) - held(64, {}) == (1024 - 64) * (2 * 4 * 4 * 2 + 4) * sizeof(real));
}

TEST_CASE("a cache takes one token at a time after the first ones") {
  LanguageModel model(small_model("none"), 1, cpu_backend());
  Memory memory = model.new_memory();
  model.next_logits(small_ids(0, 3), memory);
  CHECK(contains(error_of([&] { model.next_logits(small_ids(3, 2), memory); }), "one token"));
  CHECK(memory.tokens() == 3);
}

}  // namespace farsight
