// Generating token by token: the same as one forward pass over everything, in less memory.
#include <cmath>

#include "tests/catch.h"
#include "tests/small_model.h"

namespace farsight {
namespace {

/// The largest difference between the scores after each of `chunks` of tokens, one after the other
/// through a memory, and those of a forward pass over the whole text so far.
double largest_difference(LanguageModel& model, const std::vector<int64_t>& chunks) {
  Memory memory = model.new_memory();
  double largest = 0;
  int64_t seen = 0;
  for (const int64_t count : chunks) {
    const auto step = model.next_logits(small_ids(seen, count), memory).to_vector();
    seen += count;
    CHECK(memory.tokens() == seen);
    Memory fresh = model.new_memory();
    const auto whole = model.next_logits(small_ids(0, seen), fresh).to_vector();
    for (size_t i = 0; i < whole.size(); ++i)
      largest = std::max(largest, static_cast<double>(std::fabs(step[i] - whole[i])));
  }
  return largest;
}

}  // namespace

TEST_CASE("every scheme: token by token and in pieces is the same as all at once") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    ModelConfig config = small_model(entry->name);
    config.length = 70;
    config.deviation = 0.3;  // scores far from equal
    for (const std::vector<int64_t>& windows : {std::vector<int64_t>{}, {1, 5, 64, 0}}) {
      config.windows = windows;
      LanguageModel model(config, 1, cpu_backend());
      INFO(entry->name << ", windows " << windows.size());
      CHECK(largest_difference(model, std::vector<int64_t>(70, 1)) < 1e-4);
      CHECK(largest_difference(model, {3, 1, 1, 30, 1, 2, 10, 1, 20, 1}) < 1e-4);
      CHECK(largest_difference(model, {1, 69}) < 1e-4);
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

TEST_CASE("a cache holds several sequences, and no others than it began with") {
  LanguageModel model(small_model("alibi"), 1, cpu_backend());
  const auto hidden = [&](const std::vector<int32_t>& tokens, int64_t B, Memory& memory) {
    return model.hidden(model.embed(Ids(tokens, cpu_backend()), B), {.memory = &memory})
        .to_vector();
  };
  // Two sequences side by side, and each alone.
  const std::vector<int32_t> a{1, 2, 3, 4, 5}, b{7, 9, 11, 0, 2};
  Memory both = model.new_memory(), first = model.new_memory(), second = model.new_memory();
  hidden({a[0], a[1], b[0], b[1]}, 2, both);
  hidden({a[0], a[1]}, 1, first);
  hidden({b[0], b[1]}, 1, second);
  for (size_t t = 2; t < a.size(); ++t) {
    const auto together = hidden({a[t], b[t]}, 2, both);
    auto apart = hidden({a[t]}, 1, first);
    const auto other = hidden({b[t]}, 1, second);
    apart.insert(apart.end(), other.begin(), other.end());
    for (size_t i = 0; i < apart.size(); ++i) CHECK(together[i] == Approx(apart[i]).margin(1e-5));
  }
  CHECK(contains(error_of([&] { hidden({1}, 1, both); }), "that it began with"));
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

}  // namespace farsight
