// Byte-level byte-pair encoding (Sennrich et al. 2016, GPT-2): text is cut by GPT-2's pattern, and
// inside each piece the pair of neighbours with the lowest rank is merged until none is left. One
// class serves GPT-2's own vocabulary and those trained here.
#pragma once

#include <array>
#include <unordered_map>

#include "data/chunks.h"
#include "data/tokenizer.h"

namespace farsight {

class BpeTokenizer : public Tokenizer {
 public:
  using Pair = std::pair<int32_t, int32_t>;

  /// Ids 0 … 255 are the bytes; merge k of two earlier ids makes id 256 + k.
  explicit BpeTokenizer(const std::vector<Pair>& merges);

  /// From to_json().
  explicit BpeTokenizer(const nlohmann::json& json);

  /// From GPT-2's encoder.json and vocab.bpe. Throws std::runtime_error naming the file at fault.
  static std::unique_ptr<BpeTokenizer> from_gpt2(const std::filesystem::path& encoder,
                                                 const std::filesystem::path& merges);

  std::string name() const override { return name_; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(tokens_.size()); }
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  void append_text(int32_t id, std::string& text) const override { text += tokens_[id]; }
  nlohmann::json to_json() const override;

 private:
  struct Merge {
    int32_t rank, result;
  };
  struct HashPair {
    size_t operator()(const Pair& pair) const {
      return (static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second)) *
             0x9E3779B97F4A7C15u;
    }
  };

  BpeTokenizer(std::string name, std::vector<std::string> tokens,
               const std::vector<std::pair<std::string, std::string>>& merges);

  /// Learns that `pair`, of the next rank, becomes `result`.
  void add_merge(const Pair& pair, int32_t result);
  void index_bytes();
  void encode_piece(std::string_view piece, std::vector<int32_t>& ids) const;

  std::string name_;
  std::vector<std::string> tokens_;  // the bytes of each id
  std::array<int32_t, 256> byte_ids_{};
  std::vector<Pair> merge_order_;
  std::unordered_map<Pair, Merge, HashPair> merges_;
  mutable std::unordered_map<std::string, std::vector<int32_t>> cache_;
};

/// Learns merges from a text until there are `vocabulary_size` ids (or no pair occurs twice): at
/// each step the most frequent pair, of equally frequent ones that with the smaller ids. Throws
/// std::runtime_error unless vocabulary_size is from 256 to 2^24.
std::unique_ptr<BpeTokenizer> train_bpe(std::string_view text, int64_t vocabulary_size,
                                        const Progress& progress = {});

}  // namespace farsight
