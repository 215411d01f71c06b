// Fused causal attention, backward: the launches of attention_backward_fp32.cuh or, in bf16, of
// attention_backward_bf16.cuh. Twin of core/cpu/attention_backward.cpp.
#include "cuda/attention_backward_bf16.cuh"
#include "cuda/cuda_backend.h"

namespace farsight {
namespace {

/// The kernels of a precision for a padded head width, with what their launches need.
struct BackwardKernels {
  void (*keys)(real*, real*, BackwardInputs);
  void (*queries)(real*, real*, BackwardInputs);
  int tile, threads;
  size_t keys_shared, queries_shared;
};

template <int width>
BackwardKernels kernels_of(Precision precision) {
  if constexpr (std::is_same_v<real, float>) {
    if (precision == Precision::kBf16)
      return {attention_backward_keys_bf16<width>,
              attention_backward_queries_bf16<width>,
              kTensorTile,
              kTensorThreads,
              sizeof(KeysBf16Shared<width>),
              sizeof(QueriesBf16Shared<width>)};
  }
  return {attention_backward_keys<width>,
          attention_backward_queries<width>,
          kTileRows<width>,
          kAttentionThreads,
          sizeof(KeysShared<width>),
          sizeof(QueriesShared<width>)};
}

}  // namespace

void CudaBackend::attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                                     const real* lse, const real* q, const real* k, const real* v,
                                     const BiasView& bias, const AttentionSizes& s) {
  if (s.B * s.H * s.Tq == 0) return;
  Scratch<real> delta(s.B * s.H * s.Tq, *this);
  queue_.start(attention_delta, grid_x(s.B * s.H * s.Tq, kAttentionThreads / kWarp),
               kAttentionThreads, 0, delta.data(), dy, y, s);
  BackwardInputs in{dy, lse, delta.data(), q, k, v, bias, s, s.D % 4 == 0 && aligned(dy, q, k, v),
                    0};
  const auto heads = static_cast<unsigned>(s.H);
  with_head_width(s.D, [&](auto padded) {
    constexpr int width = padded;
    const BackwardKernels kernels = kernels_of<width>(precision_);
    if (dk || dv)
      queue_.start(kernels.keys,
                   dim3(grid_x(s.Tk, kernels.tile), heads, static_cast<unsigned>(s.B)),
                   kernels.threads, kernels.keys_shared, dk, dv, in);

    const bool relative = bias.grad && bias.row_stride == -1;
    const int64_t tiles = blocks_of(s.Tq, kernels.tile), count = relative ? s.H * tiles * s.Tk : 0;
    const int64_t at_once = relative ? sequences_at_once(s.B, count) : s.B;
    Scratch<real> by_distance(at_once * count, *this);
    for (int64_t b = 0; (dq || relative) && b < s.B; b += at_once) {
      const int64_t sequences = std::min(at_once, s.B - b);
      in.first_sequence = b;
      if (relative) fill(by_distance.data(), 0, sequences * count);
      queue_.start(kernels.queries, dim3(grid_x(tiles, 1), heads, static_cast<unsigned>(sequences)),
                   kernels.threads, kernels.queries_shared, dq,
                   relative ? by_distance.data() : nullptr, in);
      // The view's element for query i and key j is grad[j - i], that is grad[offset - distance].
      if (relative)
        queue_.start(add_by_distance<-1>, dim3(grid_x(s.Tk, kAttentionThreads), heads),
                     kAttentionThreads, 0, bias.grad + s.offset, bias.head_stride,
                     by_distance.data(), sequences, s.H, tiles, s.Tk);
    }
    if (bias.grad && !relative)
      queue_.start(attention_backward_bias<width>,
                   dim3(grid_x(s.Tk, kTileRows<width> / 2), grid_x(s.Tq, kTileRows<width>), heads),
                   kAttentionThreads, sizeof(QueriesShared<width>), in);
  });
}

}  // namespace farsight
