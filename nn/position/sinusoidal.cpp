// Sinusoidal positions (Vaswani et al. 2017): p_m[2i] = sin(m / 10000^(2i/C)), p_m[2i+1] the cosine
// of the same angle, added to sqrt(C) times the token embeddings.
#include "nn/sinusoid.h"

namespace farsight {
namespace {

const PositionEntry entry("sinusoidal", "fixed sines and cosines added to the embeddings",
                          make_scheme<SinusoidalScheme>);

}  // namespace
}  // namespace farsight
