// Extensions: what is done to a trained model, without training, when a text is longer than the
// texts it was trained on. Each is one file in nn/extension/ that ends in a registration,
//
//   const ExtensionEntry entry("ntk", "…", Acts::kRotation, make_extension<Ntk>);
//
// and overrides what it changes; `--extend ntk` then means it for evaluation, analysis and
// generation alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace farsight {

/// What an extension changes. Whether a scheme has it: PositionScheme::has().
enum class Acts {
  kPositions,  // positions and distances
  kRotation,   // the frequencies of rotated pairs
  kScores      // attention scores, which every model has
};

struct ExtensionConfig {
  int64_t trained = 0;     // the training length
  int64_t length = 0;      // of the longest text to come
  double temperature = 1;  // of the softmax, for the extension of this name

  /// How many times longer than in training; 1 if it is not.
  double stretch() const {
    return length > trained ? static_cast<double>(length) / static_cast<double>(trained) : 1;
  }
};

class Extension {
 public:
  explicit Extension(const ExtensionConfig& config) : config_(config) {}
  virtual ~Extension() = default;

  /// Factor on positions and distances.
  virtual double position_scale() const { return 1; }

  /// The frequency in radians per token of pair `pair` of `pairs`, `frequency` in training, in a
  /// text that ends at position `end` for now.
  virtual double frequency(double frequency, int64_t /*pair*/, int64_t /*pairs*/,
                           int64_t /*end*/) const {
    return frequency;
  }

  /// Whether it depends on how far the text has come, so that keys kept from earlier do not fit.
  virtual bool whole_texts_only() const { return false; }

  /// Factor on the product of the query at `position` with its keys.
  virtual double query_scale(int64_t /*position*/) const { return 1; }

  /// Factor on whole scores, bias included: the inverse of the softmax's temperature.
  virtual double score_scale() const { return 1; }

 protected:
  const ExtensionConfig config_;
};

using MakeExtension = std::unique_ptr<Extension> (*)(const ExtensionConfig& config);

template <class Kind>
std::unique_ptr<Extension> make_extension(const ExtensionConfig& config) {
  return std::make_unique<Kind>(config);
}

/// Registers an extension; one object per extension at namespace scope.
struct ExtensionEntry {
  ExtensionEntry(std::string name, std::string description, Acts acts, MakeExtension make);

  std::string name, description;
  Acts acts;
  MakeExtension make;

  /// All extensions in order of the alphabet.
  static std::vector<const ExtensionEntry*> all();

  /// Throws Error listing the known extensions if there is none of this name.
  static const ExtensionEntry& of(const std::string& name);
};

}  // namespace farsight
