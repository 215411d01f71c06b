// Encoding and storing byte-pair vocabularies: see bpe_tokenizer.h.
#include "data/bpe_tokenizer.h"

#include <utf8proc.h>

#include <fstream>
#include <map>
#include <queue>
#include <stdexcept>

#include "data/pretokenize.h"

namespace farsight {
namespace {

/// GPT-2's files spell each byte as a printable character: itself where it is one, else the next
/// of the characters from U+0100 on.
const std::array<std::string, 256>& byte_characters() {
  static const auto characters = [] {
    std::array<std::string, 256> result;
    utf8proc_int32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                             (byte >= 0xAE && byte <= 0xFF);
      utf8proc_uint8_t text[4];
      const auto length = utf8proc_encode_char(printable ? byte : next++, text);
      result[byte].assign(reinterpret_cast<char*>(text), length);
    }
    return result;
  }();
  return characters;
}

std::string to_characters(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += byte_characters()[byte];
  return text;
}

/// As much of a text as fits into a message.
std::string quoted(const std::string& text) {
  return "'" + (text.size() <= 40 ? text : text.substr(0, 40) + " …") + "'";
}

/// Throws std::runtime_error on a character that stands for no byte.
std::string from_characters(const std::string& text) {
  static const auto bytes_of = [] {
    std::unordered_map<std::string, char> result;
    for (int byte = 0; byte < 256; ++byte)
      result[byte_characters()[byte]] = static_cast<char>(byte);
    return result;
  }();
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    // Characters of this alphabet have one or two bytes.
    const size_t length = static_cast<unsigned char>(text[at]) < 0x80 ? 1 : 2;
    const auto found = bytes_of.find(text.substr(at, length));
    if (found == bytes_of.end())
      throw std::runtime_error(quoted(text) + " is not in GPT-2's alphabet of bytes");
    bytes += found->second;
    at += length;
  }
  return bytes;
}

std::pair<std::string, std::string> split_merge(const std::string& line) {
  const size_t space = line.find(' ');
  if (space == 0 || space == line.npos || space + 1 == line.size())
    throw std::runtime_error(quoted(line) + " is no merge of two tokens");
  return {from_characters(line.substr(0, space)), from_characters(line.substr(space + 1))};
}

constexpr size_t kCachedPieces = 1 << 20;
constexpr size_t kLongestCachedPiece = 64;

}  // namespace

BpeTokenizer::BpeTokenizer(const std::vector<Pair>& merges) : name_("bpe") {
  for (int byte = 0; byte < 256; ++byte) tokens_.emplace_back(1, static_cast<char>(byte));
  for (const Pair& pair : merges) {
    add_merge(pair, static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(tokens_[pair.first] + tokens_[pair.second]);
  }
  index_bytes();
}

BpeTokenizer::BpeTokenizer(std::string name, std::vector<std::string> tokens,
                           const std::vector<std::pair<std::string, std::string>>& merges)
    : name_(std::move(name)), tokens_(std::move(tokens)) {
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (!ids.emplace(tokens_[id], static_cast<int32_t>(id)).second)
      throw std::runtime_error("a token stands twice in the vocabulary");
  }
  const auto id_of = [&](const std::string& bytes) {
    const auto found = ids.find(bytes);
    if (found == ids.end())
      throw std::runtime_error("the merges name " + quoted(to_characters(bytes)) +
                               ", which is not in the vocabulary");
    return found->second;
  };
  std::vector<bool> made(tokens_.size());
  for (const auto& [left, right] : merges) {
    const int32_t result = id_of(left + right);
    add_merge({id_of(left), id_of(right)}, result);
    made[result] = true;
  }
  index_bytes();
  // Merges that were cut short would otherwise go unnoticed and change every id.
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    const bool special = token.starts_with('<') && token.ends_with('>');  // <|endoftext|>
    if (token.size() != 1 && !special && !made[id])
      throw std::runtime_error("no merge makes the token " + quoted(to_characters(token)) +
                               "; the merges are incomplete or another vocabulary's");
  }
}

BpeTokenizer::BpeTokenizer(const nlohmann::json& json)
    : BpeTokenizer(
          json.at("kind"),
          [&] {
            std::vector<std::string> tokens;
            for (const std::string text : json.at("tokens"))
              tokens.push_back(from_characters(text));
            return tokens;
          }(),
          [&] {
            std::vector<std::pair<std::string, std::string>> merges;
            for (const std::string line : json.at("merges")) merges.push_back(split_merge(line));
            return merges;
          }()) {}

std::unique_ptr<BpeTokenizer> BpeTokenizer::from_gpt2(const std::filesystem::path& encoder,
                                                      const std::filesystem::path& merges) {
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> pairs;
  std::filesystem::path reading = encoder;
  try {
    std::ifstream encoder_file(encoder);
    if (!encoder_file) throw std::runtime_error("not found; pass GPT-2's encoder.json");
    const auto ids = nlohmann::json::parse(encoder_file).get<std::map<std::string, int64_t>>();
    tokens.resize(ids.size());
    for (const auto& [text, id] : ids) {
      if (id < 0 || id >= static_cast<int64_t>(ids.size()) || !tokens[id].empty())
        throw std::runtime_error("the ids are not 0 to " + std::to_string(ids.size() - 1) +
                                 ", each once: " + quoted(text) + " is " + std::to_string(id));
      tokens[id] = from_characters(text);
    }
    reading = merges;
    std::ifstream merges_file(merges);
    if (!merges_file) throw std::runtime_error("not found; pass GPT-2's vocab.bpe");
    for (std::string line; std::getline(merges_file, line);)
      if (!line.empty() && !line.starts_with("#version")) pairs.push_back(split_merge(line));
    reading = encoder;
    return std::unique_ptr<BpeTokenizer>(new BpeTokenizer("gpt2", std::move(tokens), pairs));
  } catch (const std::exception& error) {
    throw std::runtime_error(reading.string() + ": " + error.what());
  }
}

void BpeTokenizer::add_merge(const Pair& pair, int32_t result) {
  merges_.emplace(pair, Merge{static_cast<int32_t>(merge_order_.size()), result});
  merge_order_.push_back(pair);
}

void BpeTokenizer::index_bytes() {
  byte_ids_.fill(-1);
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (tokens_[id].size() == 1)
      byte_ids_[static_cast<unsigned char>(tokens_[id][0])] = static_cast<int32_t>(id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_ids_[byte] < 0)
      throw std::runtime_error("the vocabulary has no token for byte " + std::to_string(byte));
  }
}

void BpeTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::string key;
  for_each_pretoken(text, [&](std::string_view piece) {
    if (piece.size() > kLongestCachedPiece) return encode_piece(piece, ids);
    key.assign(piece);
    auto found = cache_.find(key);
    if (found == cache_.end()) {
      if (cache_.size() >= kCachedPieces) cache_.clear();
      found = cache_.emplace(key, std::vector<int32_t>()).first;
      encode_piece(piece, found->second);
    }
    ids.insert(ids.end(), found->second.begin(), found->second.end());
  });
}

void BpeTokenizer::encode_piece(std::string_view piece, std::vector<int32_t>& ids) const {
  // The piece as a linked list of ids and a queue of the pairs that could merge: n log n, so that
  // a piece of a million characters is no trap. Entries of pairs that are gone are skipped.
  struct Node {
    int32_t id, previous, next;
  };
  struct Candidate {
    int32_t rank, left;  // left: index of the first of the two nodes
    Pair pair;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  if (piece.size() > INT32_MAX) throw InvalidText("more than 2 GiB without a break", 0);
  const auto size = static_cast<int32_t>(piece.size());
  std::vector<Node> nodes;
  for (int32_t i = 0; i < size; ++i)
    nodes.push_back(
        {byte_ids_[static_cast<unsigned char>(piece[i])], i - 1, i + 1 < size ? i + 1 : -1});
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int32_t left) {
    if (left < 0 || nodes[left].next < 0) return;
    const Pair pair{nodes[left].id, nodes[nodes[left].next].id};
    const auto found = merges_.find(pair);
    if (found != merges_.end()) queue.push({found->second.rank, left, pair});
  };
  for (int32_t i = 0; i < size; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Node& left = nodes[best.left];
    if (left.next < 0 || left.id != best.pair.first || nodes[left.next].id != best.pair.second)
      continue;
    Node& right = nodes[left.next];
    left.id = merges_.at(best.pair).result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) nodes[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (int32_t i = 0; i >= 0 && i < size; i = nodes[i].next) ids.push_back(nodes[i].id);
}

nlohmann::json BpeTokenizer::to_json() const {
  nlohmann::json tokens = nlohmann::json::array(), merges = nlohmann::json::array();
  for (const std::string& token : tokens_) tokens.push_back(to_characters(token));
  for (const auto& [left, right] : merge_order_)
    merges.push_back(to_characters(tokens_[left]) + " " + to_characters(tokens_[right]));
  return {{"kind", name_}, {"tokens", tokens}, {"merges", merges}};
}

}  // namespace farsight
