// A decoder-only transformer language model with pre-layer-norm blocks (GPT-2) and any positional
// scheme.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/position.h"

namespace farsight {

struct ModelConfig {
  int64_t vocabulary = 0;
  int64_t width = 128;  // C
  int64_t heads = 8;    // H; divides the width
  int64_t blocks = 4;
  int64_t feed_forward = 0;  // 0 = 4 * width
  int64_t length = 128;      // the training length
  double deviation = 0.02;   // of the initial weights, as in GPT-2
  bool tied = true;          // whether the output projection is the embedding table
  Activation activation = Activation::kGelu;
  std::string position;  // name of the scheme
  std::map<std::string, double> position_options;
  std::vector<int64_t> windows;  // none, one for all heads, or one for each; 0 = unlimited

  int64_t hidden_width() const { return feed_forward ? feed_forward : 4 * width; }
};

/// What a model remembers of the tokens it has seen while it generates.
struct Memory {
  std::vector<KeyValueCache> blocks;
  Bias bias;

  int64_t tokens() const { return blocks.empty() ? 0 : blocks[0].tokens(); }

  /// The scheme's bias for these queries; a relative one is kept for as long as it reaches.
  const Bias& bias_for(PositionScheme& position, const Positions& queries);
};

/// What may come with a forward pass.
struct Pass {
  Dropout dropout{};
  std::optional<Stream> training{};  // random numbers for schemes that need some in training
  Memory* memory = nullptr;          // the tokens follow those it holds, and join them
  std::vector<AttentionMass>* mass = nullptr;  // receives each block's; see AttentionContext
  bool recompute = false;  // keep of each block only its input, and compute it again for gradients
};

/// Elements of the weight matrices, which are nearly all of a model's parameters: known before
/// memory is taken for them.
double matrix_elements(const ModelConfig& config);

/// The positional scheme of a model, on its own: what can be known of the model's reach before it
/// is there. Throws Error if the configuration contradicts itself, naming the setting.
std::unique_ptr<PositionScheme> position_of(const ModelConfig& config, Backend& backend);

/// Throws Error if a model's scheme has no positions for a text of this length.
void require_reach(const ModelConfig& config, const PositionScheme& scheme, int64_t length);

/// x + attention(norm(x)), then x + feed_forward(norm(x)).
class Block : public Module {
 public:
  static constexpr int64_t kDropouts = 2;  // that a pass draws

  Block(const ModelConfig& config, Backend& backend);
  /// x (B, T, C) to (B, T, C).
  Tensor operator()(const Tensor& x, const AttentionContext& context, Dropout& dropout) const;

 private:
  LayerNorm attention_norm_;
  SelfAttention attention_;
  LayerNorm feed_forward_norm_;
  FeedForward feed_forward_;
};

class LanguageModel : public Module {
 public:
  /// Builds the model and draws its initial parameters from the seed; without one they are
  /// undefined, to be loaded. Throws Error if the configuration contradicts itself, naming the
  /// setting.
  LanguageModel(const ModelConfig& config, std::optional<uint64_t> seed, Backend& backend);

  const ModelConfig& config() const { return config_; }
  Backend& backend() const { return backend_; }

  /// Each head's attention window in each block, 0 = unlimited; no windows at all for a block
  /// without limits.
  using Windows = std::vector<std::vector<int64_t>>;
  const Windows& windows() const { return windows_; }
  /// Those of the training.
  Windows trained_windows() const;
  /// Replaces them, for evaluation under other windows than in training.
  void set_windows(Windows windows);

  /// Changes the model for texts longer than in training; null = no longer. Throws Error if the
  /// scheme has nothing for it to act on.
  void extend(const ExtensionEntry* entry, const ExtensionConfig& config = {});

  /// Throws Error if the scheme has no positions for a text of this length.
  void require_reach(int64_t length) const { farsight::require_reach(config_, *position_, length); }

  const PositionScheme& position() const { return *position_; }

  /// Negative log-likelihood in nats of each target: (B * T). `tokens` and `targets` hold B
  /// sequences one after the other. `correct`, if given, receives 1 where the target is the
  /// likeliest token. Throws Error if the scheme cannot reach the length.
  Tensor losses(const Ids& tokens, const Ids& targets, int64_t B, const Pass& pass = {},
                Tensor* correct = nullptr);

  /// The scores of every token to come next after `tokens`: (1, V). Throws Error if the scheme
  /// cannot reach so far.
  Tensor next_logits(const Ids& tokens, Memory& memory);
  /// An empty memory for this model, its rings as long as its windows; for as long as windows and
  /// extension stay as they are.
  Memory new_memory() const;

  /// The parts that losses() is made of, for who wants to look between them: embeddings of B
  /// sequences (B, T, C); the last layer norm's output (B * T, C); the output projection (V, C).
  Tensor embed(const Ids& tokens, int64_t B) const;
  Tensor hidden(const Tensor& embedded, Pass pass = {});
  const Tensor& head() const { return head_; }

  /// The bias of the queries at positions begin … end - 1, as the extension has it.
  Bias bias(int64_t begin, int64_t end);

 private:
  /// A bias times what the extension scales whole scores by.
  Bias scaled(const Bias& bias) const;
  /// What the extension multiplies queries at these positions by, for B sequences; undefined = 1.
  Tensor query_factors(const Positions& positions) const;

  const ModelConfig config_;
  Backend& backend_;
  Tensor embedding_, head_;  // (V, C) each; the same tensor if tied
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<Extension> extension_;
  std::vector<std::unique_ptr<Block>> blocks_;
  LayerNorm norm_;
  Windows windows_;
  std::vector<Ids> window_ids_;  // by block
};

}  // namespace farsight
