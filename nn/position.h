// Positional schemes. Every scheme fits one form: something added to the token embeddings, a
// rotation of queries and keys, and a bias added to the scaled scores; a scheme overrides what it
// needs. A scheme is one file in nn/position/ that ends in a registration,
//
//   const PositionEntry entry("alibi", "linear penalty on distance", make_scheme<Alibi>);
//
// and from then on the command line, `farsight schemes`, the tests and the benchmark know it.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/attention.h"
#include "nn/extension.h"
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
  int64_t begin = 0, end = 0;
  const Extension* extension = nullptr;  // what changes for texts longer than in training
  int64_t sequences = 1;                 // B
  std::optional<Stream> training{};      // random numbers, in training only

  int64_t count() const { return end - begin; }

  /// Factor on positions and distances.
  double scale() const { return extension ? extension->position_scale() : 1; }
};

class PositionScheme : public Module {
 public:
  /// Factor on the token embeddings.
  virtual real embedding_scale() const { return 1; }

  /// (count, C), added to the token embeddings of each sequence, or (B, count, C) for each its own;
  /// undefined = nothing. Throws Error if the scheme cannot reach these positions.
  virtual Tensor embed(const Positions& positions);

  /// Turns queries and keys (B, count, H, D) before the scores.
  virtual void rotate(Tensor& q, Tensor& k, const Positions& positions);

  /// Added to the scaled scores of queries at these positions with keys at 0 … end - 1; see Bias
  /// for its layout.
  virtual Bias bias(const Positions& queries);

  /// The most positions that the scheme has.
  virtual int64_t reach() const { return std::numeric_limits<int64_t>::max(); }

  /// How many numbers such a bias takes, where it is dense; in training, with what its gradient
  /// needs.
  virtual double bias_elements(const Positions& /*queries*/) const { return 0; }

  /// Whether an extension that acts so has something to act on.
  virtual bool has(Acts acts) const { return acts == Acts::kScores; }
};

/// A scheme whose bias is a fixed function of distance times a fixed factor for each head.
class FixedBias : public PositionScheme {
 public:
  explicit FixedBias(const PositionConfig& config)
      : heads_(config.heads), backend_(*config.backend) {}
  Bias bias(const Positions& queries) final;
  bool has(Acts acts) const final { return acts != Acts::kRotation; }

 protected:
  /// The factor of head h = 1 … H, and the function of distance.
  virtual double factor(int64_t head) const = 0;
  virtual double shape(double distance) const = 0;

  const int64_t heads_;

 private:
  Backend& backend_;
  Tensor table_;      // (H, T) for the longest reach asked for so far, at this scale:
  double scale_ = 1;  // of distances
};

/// A table of a scheme for the positions that were asked for last.
class PositionTable {
 public:
  /// make() for these positions, unless the last ones were the same.
  template <class Make>
  const Tensor& get(const Positions& positions, const Make& make) {
    const bool same = table_.defined() && positions.begin == begin_ && positions.end == end_;
    if (!same || positions.extension || extended_) table_ = make();
    begin_ = positions.begin;
    end_ = positions.end;
    extended_ = positions.extension != nullptr;
    return table_;
  }

 private:
  int64_t begin_ = 0, end_ = 0;
  bool extended_ = false;
  Tensor table_;
};

/// f(distance) for each column of a relative bias that reaches back to position 0: (end, 1).
/// Learned biases are built from it by linear(), which forms outer products.
template <class F>
Tensor by_distance(const Positions& queries, Backend& backend, const F& f) {
  const int64_t length = queries.end;
  const double scale = queries.scale();
  std::vector<real> column(length);
  for (int64_t c = 0; c < length; ++c)
    column[c] = static_cast<real>(f(static_cast<double>(length - 1 - c) * scale));
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
