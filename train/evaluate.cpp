// Evaluation: see evaluate.h.
#include "train/evaluate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iomanip>
#include <map>
#include <numbers>
#include <sstream>

#include "core/error.h"
#include "train/csv.h"
#include "train/log.h"
#include "train/memory.h"
#include "train/sequences.h"

namespace farsight {
namespace {

/// One stretch of text: `tokens` inputs from `begin`, of which the last `scored` predictions count.
struct Window {
  int64_t begin, tokens, scored;
};

std::vector<Window> windows_of(int64_t targets, int64_t length, int64_t stride) {
  std::vector<Window> windows;
  for (int64_t begin = 0, scored = 0; scored < targets; begin += stride) {
    const int64_t end = std::min(begin + length, targets);
    windows.push_back({begin, end - begin, end - scored});
    scored = end;
  }
  return windows;
}

/// Sums the recall of marked targets by power of two of their distance.
class Recall {
 public:
  explicit Recall(const std::vector<RecallMark>& marks) : marks_(marks) {}

  /// Target at `position` of the text, predicted in a window that starts at `window_begin`.
  /// Positions must not decrease from call to call.
  void add(int64_t position, int64_t window_begin, double loss, bool correct) {
    while (next_ < marks_.size() && marks_[next_].position < position) ++next_;
    if (next_ == marks_.size() || marks_[next_].position != position) return;
    const RecallMark& mark = marks_[next_];
    RecallBucket& bucket = buckets_[std::bit_width(static_cast<uint64_t>(mark.distance))];
    ++bucket.targets;
    bucket.loss += loss;
    bucket.accuracy += correct;
    // Whoever is to know the token again must have seen what stood before it, too.
    const bool seen = position - mark.distance - 1 >= window_begin;
    bucket.best_loss += seen ? 0 : std::log(static_cast<double>(mark.choices));
  }

  std::vector<RecallBucket> buckets() const {
    std::vector<RecallBucket> result;
    for (auto [width, bucket] : buckets_) {
      bucket.min_distance = int64_t{1} << (width - 1);
      bucket.max_distance = 2 * bucket.min_distance;
      bucket.loss /= bucket.targets;
      bucket.accuracy /= bucket.targets;
      bucket.best_loss /= bucket.targets;
      result.push_back(bucket);
    }
    return result;
  }

 private:
  const std::vector<RecallMark>& marks_;
  size_t next_ = 0;
  std::map<int, RecallBucket> buckets_;
};

/// Sums losses by the length of the context before each target.
class ByPosition {
 public:
  explicit ByPosition(int64_t length) {
    for (int64_t quarter = 0, begin = 1; begin <= length; ++quarter) {
      const auto end = static_cast<int64_t>(std::exp2(quarter / 4.0 + 0.25) + 1e-9) + 1;
      if (end <= begin) continue;
      buckets_.push_back({begin, std::min(end, length + 1), 0, 0});
      begin = end;
    }
  }

  void add(int64_t context, double loss) {
    PositionBucket& bucket = *std::find_if(buckets_.begin(), buckets_.end(),
                                           [=](const auto& b) { return context < b.max_context; });
    ++bucket.targets;
    bucket.loss += loss;
  }

  std::vector<PositionBucket> buckets() const {
    std::vector<PositionBucket> result;
    for (PositionBucket bucket : buckets_) {
      if (bucket.targets == 0) continue;
      bucket.loss /= bucket.targets;
      result.push_back(bucket);
    }
    return result;
  }

 private:
  std::vector<PositionBucket> buckets_;
};

/// One line of the table of perplexities.
std::string line_of(const Evaluation& e) {
  std::ostringstream line;
  line << std::fixed << std::setprecision(3) << std::setw(8) << e.length << ' ' << std::setw(8)
       << e.stride << ' ' << std::setw(10) << e.targets << ' ' << std::setw(11) << e.token_ppl
       << ' ' << std::setw(11) << e.word_ppl << ' ' << std::setprecision(4) << std::setw(11)
       << e.bits_per_byte << '\n';
  return line.str();
}

}  // namespace

std::vector<RecallMark> read_marks(const std::filesystem::path& path) {
  const Csv csv = read_csv(path);
  std::vector<RecallMark> marks;
  for (size_t row = 0; row < csv.rows(); ++row) {
    marks.push_back(
        {csv.integer(row, "position"), csv.integer(row, "distance"), csv.integer(row, "choices")});
    const RecallMark& mark = marks.back();
    check(mark.distance > 0 && mark.distance <= mark.position && mark.choices > 0 &&
              (row == 0 || marks[row - 1].position < mark.position),
          path.string(), ": row ", row + 1, " is no mark; run `farsight prepare` again");
  }
  return marks;
}

std::vector<RecallMark> marks_beside(const std::filesystem::path& data) {
  auto path = data;
  path.replace_extension(".marks.csv");
  return std::filesystem::exists(path) ? read_marks(path) : std::vector<RecallMark>();
}

void check_evaluation(const LanguageModel& model, const TokenSource& text,
                      const EvaluationOptions& options) {
  const int64_t length = options.length, stride = options.stride ? options.stride : length;
  check(length > 0, "an evaluation length must be positive, not ", length);
  check(stride > 0 && stride <= length, "the stride must be in 1 … ", length,
        " for windows of that length, not ", stride);
  check(options.max_targets >= 0, "the most targets to score must be 0 (all) or more, not ",
        options.max_targets);
  check(text.size > length, text.name, ": has ", text.size, " tokens, too few for one window of ",
        length, " and the token after it; use a longer text or a smaller length");
  require_same_vocabulary(model, text);
  model.require_reach(length);
  require_memory(
      forward_bytes(model.config(), static_cast<double>(std::max(length, options.tokens_per_pass)),
                    model.backend()) +
          bias_bytes(model.position(), length),
      model.backend(), concat("an evaluation at length ", length));
}

Evaluation evaluate(LanguageModel& model, const TokenSource& text,
                    const EvaluationOptions& options) {
  check_evaluation(model, text, options);
  const int64_t length = options.length, stride = options.stride ? options.stride : length;
  Evaluation result;
  result.length = length;
  result.stride = stride;
  result.targets = text.size - 1;
  if (options.max_targets) result.targets = std::min(result.targets, options.max_targets);
  const std::vector<Window> windows = windows_of(result.targets, length, stride);
  const std::vector<RecallMark> no_marks;
  Recall recall(options.marks ? *options.marks : no_marks);
  ByPosition by_position(length);

  Backend& backend = model.backend();
  const size_t per_pass = std::max<int64_t>(1, options.tokens_per_pass / length);
  int64_t done = 0;
  for (size_t first = 0; first < windows.size();) {
    // Windows of the same number of tokens share a pass; only the last ones are shorter.
    size_t last = first + 1;
    while (last < windows.size() && last - first < per_pass &&
           windows[last].tokens == windows[first].tokens)
      ++last;
    const int64_t T = windows[first].tokens;
    std::vector<int32_t> tokens, targets, sequence(T + 1);
    for (size_t w = first; w < last; ++w) {
      text.read(windows[w].begin, sequence);
      tokens.insert(tokens.end(), sequence.begin(), sequence.end() - 1);
      targets.insert(targets.end(), sequence.begin() + 1, sequence.end());
    }
    Tensor correct_tensor;
    const std::vector<real> losses =
        model
            .losses(Ids(tokens, backend), Ids(targets, backend), last - first, {},
                    options.marks ? &correct_tensor : nullptr)
            .to_vector();
    const std::vector<real> correct =
        options.marks ? correct_tensor.to_vector() : std::vector<real>(losses.size());
    for (size_t w = first; w < last; ++w) {
      const auto& [begin, count, scored] = windows[w];
      for (int64_t i = count - scored; i < count; ++i) {
        const size_t at = (w - first) * T + i;
        result.nll += losses[at];
        by_position.add(i + 1, losses[at]);
        recall.add(begin + i + 1, begin, losses[at], correct[at] != 0);
      }
      done += scored;
    }
    first = last;
    if (options.progress) options.progress(done, result.targets);
  }

  check(std::isfinite(result.nll), text.name, ": the loss at length ", length, " is ", result.nll,
        "; the model's parameters are damaged or the training blew up: use another checkpoint");
  const double share = static_cast<double>(result.targets) / (text.size - 1);
  result.token_ppl = std::exp(result.nll / result.targets);
  result.word_ppl = std::exp(result.nll / (text.words * share));
  result.bits_per_byte = result.nll / (std::numbers::ln2 * text.bytes * share);
  result.recall = recall.buckets();
  result.by_position = by_position.buckets();
  return result;
}

std::vector<Evaluation> evaluate_lengths(LanguageModel& model, const TokenSource& text,
                                         const std::vector<int64_t>& lengths,
                                         EvaluationOptions options, std::ostream& say,
                                         const std::function<void(int64_t)>& before) {
  for (const int64_t length : lengths) {
    options.length = length;
    check_evaluation(model, text, options);
  }
  say << "perplexity per token, per word of the original text, and bits per byte\n"
         "  length   stride    targets   token ppl    word ppl   bits/byte\n";
  std::vector<Evaluation> evaluations;
  ProgressBar bar;
  for (const int64_t length : lengths) {
    options.length = length;
    if (before) before(length);
    options.progress = [&](int64_t done, int64_t total) {
      bar.show(concat("length ", length), done, total);
    };
    evaluations.push_back(evaluate(model, text, options));
    bar.erase();
    say << line_of(evaluations.back()) << std::flush;
  }
  return evaluations;
}

std::string recall_table(const Evaluation& e) {
  if (e.recall.empty()) return "";
  std::ostringstream table;
  table << std::fixed << "\nrecall by distance at length " << e.length
        << ": loss in nats, of the best possible reader, and accuracy\n"
        << "    distance    targets        loss        best    accuracy\n";
  for (const RecallBucket& b : e.recall)
    table << std::setw(12) << concat(b.min_distance, "-", b.max_distance - 1) << ' '
          << std::setw(10) << b.targets << std::setprecision(3) << std::setw(12) << b.loss
          << std::setw(12) << b.best_loss << std::setprecision(1) << std::setw(10)
          << 100 * b.accuracy << " %\n";
  return table.str();
}

void write_evaluations(std::ostream& stream, const std::vector<Evaluation>& evaluations) {
  stream << "length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte\n" << std::setprecision(12);
  for (const Evaluation& e : evaluations)
    stream << e.length << ',' << e.stride << ',' << e.targets << ',' << e.nll << ',' << e.token_ppl
           << ',' << e.word_ppl << ',' << e.bits_per_byte << '\n';
}

void write_by_position(std::ostream& stream, const std::vector<Evaluation>& evaluations) {
  stream << "length,min_context,max_context,targets,loss\n" << std::setprecision(9);
  for (const Evaluation& e : evaluations) {
    for (const PositionBucket& b : e.by_position)
      stream << e.length << ',' << b.min_context << ',' << b.max_context << ',' << b.targets << ','
             << b.loss << '\n';
  }
}

void write_recall(std::ostream& stream, const std::vector<Evaluation>& evaluations) {
  stream << "length,min_distance,max_distance,targets,loss,accuracy,best_loss\n"
         << std::setprecision(9);
  for (const Evaluation& e : evaluations) {
    for (const RecallBucket& b : e.recall)
      stream << e.length << ',' << b.min_distance << ',' << b.max_distance << ',' << b.targets
             << ',' << b.loss << ',' << b.accuracy << ',' << b.best_loss << '\n';
  }
}

}  // namespace farsight
