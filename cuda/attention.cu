// Fused causal attention, forward: which kernel computes it. Twin of core/cpu/attention.cpp.
#include "cuda/attention_bf16.cuh"
#include "cuda/attention_fp32.cuh"
#include "cuda/cuda_backend.h"

namespace farsight {

void CudaBackend::attention(real* y, real* lse, const real* q, const real* k, const real* v,
                            const BiasView& bias, const AttentionSizes& s) {
  if (s.B * s.H * s.Tq == 0) return;
  with_head_width(s.D, [&](auto padded) {
    constexpr int width = padded;
    const bool fours = s.D % 4 == 0 && aligned(q, k, v);
    if constexpr (std::is_same_v<real, float>) {
      if (precision_ == Precision::kBf16)
        return queue_.start(attention_forward_bf16<width>,
                            dim3(grid_x(s.Tq, kTensorTile), grid_yz(s.H), grid_yz(s.B)),
                            kTensorThreads, sizeof(ForwardBf16Shared<width>), y, lse, q, k, v, bias,
                            s, fours);
    }
    queue_.start(attention_forward<width>,
                 dim3(grid_x(s.Tq, kTileRows<width>), grid_yz(s.H), grid_yz(s.B)),
                 kAttentionThreads, sizeof(ForwardShared<width>), y, lse, q, k, v, bias, s, fours);
  });
}

}  // namespace farsight
