// No positions at all: the causal mask alone tells the model about order (NoPE; Haviv et al. 2022).
#include "nn/position.h"

namespace farsight {
namespace {

class None : public PositionScheme {
 public:
  explicit None(const PositionConfig&) {}
};

const PositionEntry entry("none", "no position signal but the causal mask", make_scheme<None>);

}  // namespace
}  // namespace farsight
