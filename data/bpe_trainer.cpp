// Learning byte-pair merges from a text: see bpe_tokenizer.h.
//
// Pieces of text repeat, so each distinct one is kept once with its count. For every pair of
// neighbouring ids the number of occurrences and the pieces that may hold it are maintained, and a
// queue yields the most frequent pair; a merge touches only the pieces that hold it.
#include <map>
#include <queue>
#include <stdexcept>
#include <tuple>

#include "data/bpe_tokenizer.h"
#include "data/pretokenize.h"

namespace farsight {
namespace {

using Pair = BpeTokenizer::Pair;

struct Piece {
  std::vector<int32_t> ids;
  int64_t count;
};

struct PairInfo {
  int64_t count = 0;
  std::vector<int32_t> pieces;  // indices, none twice; may hold some that have lost the pair

  /// Counts an occurrence; true if it is the first in this piece. Those of a piece come in a row.
  bool add(int32_t piece, int64_t times) {
    count += times;
    if (!pieces.empty() && pieces.back() == piece) return false;
    pieces.push_back(piece);
    return true;
  }
};

/// Orders by count, then by smaller ids: std::priority_queue yields the largest.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return std::tuple(count, other.pair) < std::tuple(other.count, pair);
  }
};

std::vector<Piece> count_pieces(std::string_view text, const Progress& progress) {
  std::unordered_map<std::string_view, int64_t> counts;
  for_each_chunk(text, "counting words", progress, [&](size_t, std::string_view chunk) {
    for_each_pretoken(chunk, [&](std::string_view piece) { ++counts[piece]; });
  });
  std::vector<Piece> pieces;
  for (const auto& [bytes, count] : counts) {
    if (bytes.size() < 2) continue;
    Piece piece{{}, count};
    for (const unsigned char byte : bytes) piece.ids.push_back(byte);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace

std::unique_ptr<BpeTokenizer> train_bpe(std::string_view text, int64_t vocabulary_size,
                                        const Progress& progress) {
  if (vocabulary_size < 256 || vocabulary_size > (int64_t{1} << 24))
    throw std::runtime_error("--vocab-size of bpe must be from 256 (the bytes) to 2^24, not " +
                             std::to_string(vocabulary_size));
  std::vector<Piece> pieces = count_pieces(text, progress);
  std::map<Pair, PairInfo> pairs;
  std::priority_queue<Candidate> queue;
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    for (size_t i = 0; i + 1 < piece.ids.size(); ++i)
      pairs[{piece.ids[i], piece.ids[i + 1]}].add(static_cast<int32_t>(p), piece.count);
  }
  for (const auto& [pair, info] : pairs) queue.push({info.count, pair});

  std::vector<Pair> merges;
  const auto wanted = static_cast<size_t>(vocabulary_size - 256);
  while (merges.size() < wanted && !queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const int64_t count = pairs[best.pair].count;
    if (count != best.count) {  // an older count: put the present one in its place
      if (count > 1) queue.push({count, best.pair});
      continue;
    }
    if (count < 2) break;
    const auto merged = static_cast<int32_t>(256 + merges.size());
    merges.push_back(best.pair);
    const std::vector<int32_t> holders = std::move(pairs[best.pair].pieces);
    std::vector<Pair> grown;
    for (const int32_t holder : holders) {
      Piece& piece = pieces[holder];
      std::vector<int32_t> ids;
      bool found = false;
      for (size_t i = 0; i < piece.ids.size(); ++i) {
        const bool here = i + 1 < piece.ids.size() && piece.ids[i] == best.pair.first &&
                          piece.ids[i + 1] == best.pair.second;
        ids.push_back(here ? merged : piece.ids[i]);
        i += here;
        found = found || here;
      }
      if (!found) continue;
      for (size_t i = 0; i + 1 < piece.ids.size(); ++i)
        pairs[{piece.ids[i], piece.ids[i + 1]}].count -= piece.count;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const Pair pair(ids[i], ids[i + 1]);
        PairInfo& info = pairs[pair];
        if (ids[i] != merged && ids[i + 1] != merged) {
          info.count += piece.count;  // taken off above, and listed already
        } else if (info.add(holder, piece.count)) {
          grown.push_back(pair);
        }
      }
      piece.ids = std::move(ids);
    }
    for (const Pair& pair : grown) queue.push({pairs[pair].count, pair});
    if (progress)
      progress("learning merges", static_cast<int64_t>(merges.size()),
               static_cast<int64_t>(wanted));
  }
  return std::make_unique<BpeTokenizer>(merges);
}

}  // namespace farsight
