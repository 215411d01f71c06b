// Evaluation beyond the training length: perplexity, and recall of marked tokens.
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

/// A token that restates something said `distance` tokens before, one of `choices` equally likely
/// answers for whoever has not seen it.
struct RecallMark {
  int64_t position;  // of the token in the text
  int64_t distance;
  int64_t choices;
};

/// Marks from a CSV with the columns position,distance,choices, in order of position.
std::vector<RecallMark> read_marks(const std::filesystem::path& path);

/// The marks of a token file, DATA.marks.csv beside DATA.bin; none if there is no such file.
std::vector<RecallMark> marks_beside(const std::filesystem::path& data);

/// Recall of the marked tokens whose distance is in [min_distance, max_distance).
struct RecallBucket {
  int64_t min_distance = 0, max_distance = 0, targets = 0;
  double loss = 0;       // mean, nats
  double accuracy = 0;   // share of targets that were the likeliest token
  double best_loss = 0;  // of a reader who knows what stands in the same window, and guesses else
};

/// The loss of targets with at least min_context and fewer than max_context tokens before them in
/// their window.
struct PositionBucket {
  int64_t min_context = 0, max_context = 0, targets = 0;
  double loss = 0;  // mean, nats
};

struct Evaluation {
  int64_t length = 0, stride = 0, targets = 0;
  double nll = 0;                           // nats, over all targets
  double token_ppl = 0;                     // exp(nll / targets)
  double word_ppl = 0;                      // exp(nll / words of the original text)
  double bits_per_byte = 0;                 // nll / (ln 2 * bytes of the original text)
  std::vector<RecallBucket> recall;         // by powers of two of the distance; empty without marks
  std::vector<PositionBucket> by_position;  // four for each doubling of the context
};

struct EvaluationOptions {
  int64_t length = 0;
  int64_t stride = 0;  // 0 = length
  /// Scores no more than this many targets; 0 = all. Words and bytes are then taken in proportion.
  int64_t max_targets = 0;
  const std::vector<RecallMark>* marks = nullptr;
  int64_t tokens_per_pass = 8192;  // of a forward pass, if whole windows fit into that many
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Throws Error if the text is shorter than one window, has another vocabulary than the model, the
/// options make no sense, or this machine cannot hold such a window.
void check_evaluation(const LanguageModel& model, const TokenSource& text,
                      const EvaluationOptions& options);

/// Windows of `length` tokens start every `stride` tokens; each scores its last `stride` targets,
/// the first window all of its targets, so that every token but the text's first is scored once.
/// With stride = length the windows do not overlap. Throws Error as check_evaluation() does, if the
/// model cannot reach the length, or if a loss is not finite.
Evaluation evaluate(LanguageModel& model, const TokenSource& text,
                    const EvaluationOptions& options);

/// One evaluation for each length, all checked before the first begins. Prints to `say` a table of
/// perplexities as they come; shows a progress bar. `before`, if given, is called with each length
/// before its evaluation, and may change the model.
std::vector<Evaluation> evaluate_lengths(LanguageModel& model, const TokenSource& text,
                                         const std::vector<int64_t>& lengths,
                                         EvaluationOptions options, std::ostream& say,
                                         const std::function<void(int64_t)>& before = {});

/// What a reader wants to see of an evaluation with marks; "" without.
std::string recall_table(const Evaluation& e);

/// length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte
void write_evaluations(std::ostream& stream, const std::vector<Evaluation>& evaluations);

/// length,min_context,max_context,targets,loss
void write_by_position(std::ostream& stream, const std::vector<Evaluation>& evaluations);

/// length,min_distance,max_distance,targets,loss,accuracy,best_loss
void write_recall(std::ostream& stream, const std::vector<Evaluation>& evaluations);

}  // namespace farsight
