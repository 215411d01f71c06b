// Fused causal attention, forward: which kernel computes it. Twin of core/cpu/attention.cpp.
#include "cuda/attention_bf16.cuh"
#include "cuda/attention_fp32.cuh"
#include "cuda/cuda_backend.h"

namespace farsight {

void CudaBackend::attention(real* y, real* lse, const Operand& q, const Operand& k,
                            const Operand& v, const BiasView& bias, const AttentionSizes& s) {
  if (s.B * s.H * s.Tq == 0) return;
  RoundedCopy q_scratch, k_scratch, v_scratch;
  with_head_width(s.D, [&](auto padded) {
    constexpr int width = padded;
    if constexpr (std::is_same_v<real, float>) {
      if (precision_ == Precision::kBf16)
        return queue_.start(attention_forward_bf16<width>,
                            dim3(grid_x(s.Tq, kTensorThreads / kWarp * 16 * kRowTiles<width>),
                                 grid_yz(s.H), grid_yz(s.B)),
                            kTensorThreads, sizeof(ForwardBf16Shared<width>), y, lse,
                            rounded(q, s.B * s.Tq * s.H, s.D, q_scratch),
                            rounded(k, s.B * s.Tk * s.H, s.D, k_scratch),
                            rounded(v, s.B * s.Tk * s.H, s.D, v_scratch), bias, s,
                            s.D % 2 == 0 && aligned(y));
    }
    queue_.start(attention_forward<width>,
                 dim3(grid_x(s.Tq, kTileRows<width>), grid_yz(s.H), grid_yz(s.B)),
                 kAttentionThreads, sizeof(ForwardShared<width>), y, lse, q.data, k.data, v.data,
                 bias, s, s.D % 4 == 0 && aligned(y, q.data, k.data, v.data));
  });
}

}  // namespace farsight
