// Positional schemes. Every scheme fits one form: something added to the token embeddings, a
// rotation of queries and keys, and a bias added to the scaled scores; a scheme overrides what it
// needs. A scheme is one file in nn/position/ that ends in a registration,
//
//   const PositionEntry entry("alibi", "linear penalty on distance", make_scheme<Alibi>);
//
// and from then on the command line, `farsight schemes`, the tests and the benchmark know it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/attention.h"
#include "nn/module.h"

namespace farsight {

/// What a scheme is built for.
struct PositionConfig {
  int64_t width = 0;                      // C
  int64_t heads = 0;                      // H
  int64_t length = 0;                     // the training length
  std::map<std::string, double> options;  // by PositionOption::name
  Backend* backend = nullptr;

  int64_t head_width() const { return width / heads; }

  /// The scheme's option of this name, given or default.
  double option(const std::string& name) const { return options.at(name); }
};

/// The positions of one forward pass: all from 0, or those behind a cache.
struct Positions {
  int64_t begin, end;

  int64_t count() const { return end - begin; }
  bool operator==(const Positions&) const = default;
};

class PositionScheme : public Module {
 public:
  /// Factor on the token embeddings.
  virtual real embedding_scale() const { return 1; }

  /// (count, C), added to the token embeddings of each sequence; undefined = nothing. Throws Error
  /// if the scheme cannot reach these positions.
  virtual Tensor embed(const Positions& positions);

  /// Turns queries and keys (B, count, H, D) before the scores.
  virtual void rotate(Tensor& q, Tensor& k, const Positions& positions);

  /// Added to the scaled scores of queries at these positions with keys at 0 … end - 1; see Bias
  /// for its layout.
  virtual Bias bias(const Positions& queries);
};

/// A scheme whose bias has no parameters and depends on head and distance alone.
class FixedBias : public PositionScheme {
 public:
  explicit FixedBias(const PositionConfig& config)
      : heads_(config.heads), backend_(*config.backend) {}
  Bias bias(const Positions& queries) final;

 protected:
  /// The biases of head h = 1 … H at distances 0 … length - 1.
  virtual std::vector<double> values(int64_t head, int64_t length) const = 0;

  const int64_t heads_;

 private:
  Backend& backend_;
  Tensor table_;  // (H, T) for the longest reach asked for so far
};

/// f(distance) for each column of a relative bias over `length` positions: (length, 1). Learned
/// biases are built from it by linear(), which forms outer products.
template <class F>
Tensor by_distance(int64_t length, Backend& backend, const F& f) {
  std::vector<real> column(length);
  for (int64_t c = 0; c < length; ++c) column[c] = static_cast<real>(f(length - 1 - c));
  return Tensor::from({length, 1}, column, backend);
}

/// A number that a scheme lets its user choose, `--name value` on the command line.
struct PositionOption {
  std::string name;  // begins with the scheme's name
  double value;      // default
  std::string description;
};

using MakePosition = std::unique_ptr<PositionScheme> (*)(const PositionConfig& config);

template <class Scheme>
std::unique_ptr<PositionScheme> make_scheme(const PositionConfig& config) {
  return std::make_unique<Scheme>(config);
}

/// Registers a scheme; one object per scheme at namespace scope.
struct PositionEntry {
  PositionEntry(std::string name, std::string description, MakePosition make,
                std::vector<PositionOption> options = {});

  std::string name, description;
  MakePosition make;
  std::vector<PositionOption> options;

  /// All schemes in order of the alphabet.
  static std::vector<const PositionEntry*> all();
};

/// Builds the scheme of this name. config.options may hold other schemes' options too; those that
/// are not given take their defaults. Throws Error listing the known schemes if this is none.
std::unique_ptr<PositionScheme> make_position(const std::string& name, PositionConfig config);

}  // namespace farsight
