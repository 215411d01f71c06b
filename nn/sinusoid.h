// What schemes that add sinusoidal embeddings share: see position/sinusoidal.cpp.
#pragma once

#include "nn/position.h"

namespace farsight {

/// p_m[2i] = sin(m / 10000^(2i/C)), p_m[2i+1] the cosine of the same angle, added to sqrt(C) times
/// the token embeddings. A scheme may place the tokens elsewhere than at 0, 1, 2, … in training.
class SinusoidalScheme : public PositionScheme {
 public:
  explicit SinusoidalScheme(const PositionConfig& config)
      : width_(config.width), backend_(*config.backend) {}

  real embedding_scale() const final;
  Tensor embed(const Positions& positions) final;
  bool has(Acts acts) const final { return acts != Acts::kRotation; }

 protected:
  /// Where the tokens of the b-th sequence stand in training, by random numbers of the stream, of
  /// which each sequence has 2^32: `count` places. None = at 0, 1, 2, …
  virtual std::vector<double> places(const Stream& stream, uint64_t b, int64_t count) const;

  /// Where the stream's numbers for the b-th sequence begin.
  static uint64_t numbers_of(uint64_t b) { return b << 32; }

 private:
  const int64_t width_;
  Backend& backend_;
  PositionTable table_;  // (count, C) for 0, 1, 2, …
};

}  // namespace farsight
