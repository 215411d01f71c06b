// Receptive fields by gradients: see receptive_field.h.
#include "train/receptive_field.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>

#include "core/error.h"
#include "core/ops.h"
#include "core/tape.h"
#include "train/memory.h"
#include "train/sequences.h"

namespace farsight {
namespace {

int64_t theoretical_field(const LanguageModel& model, int64_t length) {
  int64_t field = 1;
  for (const std::vector<int64_t>& windows : model.windows()) {
    if (windows.empty() || std::count(windows.begin(), windows.end(), 0)) return length;
    field += *std::max_element(windows.begin(), windows.end()) - 1;
  }
  return std::min(field, length);
}

/// Gradients of the B last predictions with respect to the embeddings: (B, T, C) flat. Row b of
/// `targets` is the token that follows sequence b.
std::vector<real> input_gradients(LanguageModel& model, const Ids& tokens, const Ids& targets) {
  const int64_t B = targets.size(), T = tokens.size() / B;
  std::vector<int32_t> last_rows;
  for (int64_t b = 0; b < B; ++b) last_rows.push_back(static_cast<int32_t>((b + 1) * T - 1));
  const Tensor inputs = model.embed(tokens, B).track();
  Tape tape;
  const Tensor last = embedding(model.hidden(inputs), Ids(last_rows, model.backend()));
  tape.backward(sum(cross_entropy(last, model.head(), targets)));
  return inputs.grad_to_vector();
}

}  // namespace

void check_threshold(double threshold) {
  check(threshold > 0 && threshold < 1,
        "the threshold is a share of the gradient between 0 and 1, not ", threshold);
}

ReceptiveField receptive_field(LanguageModel& model, const TokenSource& text,
                               const FieldOptions& options) {
  const int64_t L = options.length, N = options.sequences, C = model.config().width;
  const EvenSequences sequences(model, text, L, N);
  check_threshold(options.threshold);
  const int64_t per_pass = std::max<int64_t>(1, options.tokens_per_pass / L);
  require_memory(
      backward_bytes(model.config(), static_cast<double>(per_pass * L), model.backend()) +
          bias_bytes(model.position(), L),
      model.backend(), concat("a receptive field at length ", L));
  for (const Parameter& parameter : model.parameters()) parameter.tensor.track(false);

  std::vector<double> share(L, 0);
  for (int64_t first = 0; first < N; first += per_pass) {
    const int64_t B = std::min(per_pass, N - first);
    std::vector<int32_t> tokens, targets;
    for (int64_t i = first; i < first + B; ++i) {
      const std::vector<int32_t> sequence = sequences.read(i);
      tokens.insert(tokens.end(), sequence.begin(), sequence.end() - 1);
      targets.push_back(sequence.back());
    }
    const std::vector<real> gradients =
        input_gradients(model, Ids(tokens, model.backend()), Ids(targets, model.backend()));
    for (int64_t b = 0; b < B; ++b) {
      std::vector<double> norms(L);  // of the newest token first
      for (int64_t m = 0; m < L; ++m) {
        const real* row = gradients.data() + (b * L + m) * C;
        norms[L - 1 - m] = std::sqrt(std::inner_product(row, row + C, row, 0.0));
      }
      const double total = std::accumulate(norms.begin(), norms.end(), 0.0);
      check(std::isfinite(total) && total > 0, text.name, ": the gradients of sequence ", first + b,
            " add up to ", total, "; the model's parameters are damaged: use another checkpoint");
      for (int64_t d = 0; d < L; ++d) share[d] += norms[d] / total / N;
    }
    if (options.progress) options.progress(first + B, N);
  }

  const int64_t theoretical = theoretical_field(model, L);
  ReceptiveField field{L, N, options.threshold, theoretical, theoretical, std::move(share)};
  double cumulative = 0;
  for (int64_t d = 0; d < L; ++d) {
    cumulative += field.share[d];
    if (cumulative >= options.threshold) {
      field.empirical = d + 1;
      break;
    }
  }
  return field;
}

void write_fields(std::ostream& stream, const NamedFields& fields) {
  stream << "model,length,sequences,threshold,empirical,theoretical\n" << std::setprecision(9);
  for (const auto& [model, field] : fields)
    stream << model << ',' << field.length << ',' << field.sequences << ',' << field.threshold
           << ',' << field.empirical << ',' << field.theoretical << '\n';
}

void write_field_curves(std::ostream& stream, const NamedFields& fields) {
  stream << "model,length,tokens,share,cumulative\n" << std::setprecision(9);
  for (const auto& [model, field] : fields) {
    double cumulative = 0;
    for (int64_t d = 0; d < field.length; ++d) {
      cumulative += field.share[d];
      stream << model << ',' << field.length << ',' << d + 1 << ',' << field.share[d] << ','
             << cumulative << '\n';
    }
  }
}

}  // namespace farsight
