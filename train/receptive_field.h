// Receptive fields (the Sandwich paper, arXiv 2212.10356, section 4): how far back the tokens lie
// that a model's prediction depends on, measured by gradients.
//
// For a sequence of L tokens, g_m is the norm of the gradient of the prediction of the next token
// with respect to the embedding of token m. s = g / Σ g, averaged over sequences and added up from
// the newest token backwards, is the cumulative normalised gradient. The empirical receptive field
// is the smallest number of newest tokens that hold 99 % of it.
//
// The prediction is taken as the log-probability of the true next token; its probability p has the
// gradient times p, which the division by Σ g removes.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

struct FieldOptions {
  int64_t length = 0;      // L
  int64_t sequences = 64;  // EvenSequences
  double threshold = 0.99;
  int64_t tokens_per_pass = 4096;  // of a forward and backward pass, if a sequence fits
  std::function<void(int64_t done, int64_t total)> progress;
};

struct ReceptiveField {
  int64_t length = 0, sequences = 0;
  double threshold = 0;
  int64_t empirical = 0;
  /// What the windows let through: 1 + Σ (largest window of a block - 1), at most the length.
  int64_t theoretical = 0;
  /// Mean share of the gradient of the newest token, the one before it, …: L of them.
  std::vector<double> share;
};

/// Throws Error unless it is between 0 and 1.
void check_threshold(double threshold);

/// Afterwards the model's parameters take no gradients. Throws Error if the text has too few tokens
/// or another vocabulary than the model, an option makes no sense, this machine's memory is too
/// small, or a gradient is not finite.
ReceptiveField receptive_field(LanguageModel& model, const TokenSource& text,
                               const FieldOptions& options);

/// A model's name and its fields at several lengths.
using NamedFields = std::vector<std::pair<std::string, ReceptiveField>>;

/// model,length,sequences,threshold,empirical,theoretical
void write_fields(std::ostream& stream, const NamedFields& fields);

/// model,length,tokens,share,cumulative: of the newest 1, 2, … tokens
void write_field_curves(std::ostream& stream, const NamedFields& fields);

}  // namespace farsight
