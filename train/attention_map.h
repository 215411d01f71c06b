// Where the heads of a model look: attention by distance, and the window that it amounts to.
// ALiBi's implicit windows show here as they are.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <vector>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

struct AttentionMapOptions {
  int64_t length = 0;      // L
  int64_t sequences = 64;  // EvenSequences
  int64_t tokens_per_pass = 8192;
  std::function<void(int64_t done, int64_t total)> progress;
};

/// One head of one block, counted from 1. Averages are over the queries from floor(L / 2)
/// on, all of which have at least L / 2 keys to choose from.
struct HeadAttention {
  int64_t block = 0, head = 0;
  std::vector<double> mass;  // mean attention to the key at distance 0 … L - 1; they add up to 1
  double entropy = 0;        // mean over queries, nats

  /// The smallest window that holds this share of the attention.
  int64_t window(double share) const;
};

struct AttentionMap {
  int64_t length = 0, sequences = 0;
  std::vector<HeadAttention> heads;  // block by block
};

/// Throws Error as receptive_field() does, and leaves the model as it is.
AttentionMap attention_map(LanguageModel& model, const TokenSource& text,
                           const AttentionMapOptions& options);

/// length,block,head,distance,mass
void write_attention(std::ostream& stream, const std::vector<AttentionMap>& maps);

/// length,block,head,share,window,entropy
void write_windows(std::ostream& stream, const std::vector<AttentionMap>& maps, double share);

}  // namespace farsight
