// Fused causal attention, backward: the launches of attention_backward_fp32.cuh or, in bf16, of
// attention_backward_bf16.cuh. Twin of core/cpu/attention_backward.cpp.
#include "cuda/attention_backward_bf16.cuh"
#include "cuda/cuda_backend.h"

namespace farsight {
namespace {

/// delta (B, H, Tq) = Σ_d dy y. A warp per row.
__global__ void __launch_bounds__(kAttentionThreads)
    attention_delta(real* delta, const real* dy, const real* y, AttentionSizes s) {
  constexpr int kWarps = kAttentionThreads / kWarp;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (row >= s.B * s.Tq * s.H) return;
  real total = 0;
  for (int64_t d = threadIdx.x % kWarp; d < s.D; d += kWarp)
    total += dy[row * s.D + d] * y[row * s.D + d];
  total = over_lanes<Sum>(total);
  const int64_t h = row % s.H, i = row / s.H % s.Tq, b = row / s.H / s.Tq;
  if (threadIdx.x % kWarp == 0) delta[(b * s.H + h) * s.Tq + i] = total;
}

/// The kernels of a precision for a padded head width, with what their launches need.
struct BackwardKernels {
  void (*keys)(GradientSum, GradientSum, BackwardInputs);
  void (*queries)(GradientSum, real*, BackwardInputs);
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

void CudaBackend::attention_backward(GradientSum dq, GradientSum dk, GradientSum dv,
                                     const Operand& dy, const real* y, const real* lse,
                                     const Operand& q, const Operand& k, const Operand& v,
                                     const BiasView& bias, const AttentionSizes& s) {
  if (s.B * s.H * s.Tq == 0) {
    for (const GradientSum& sum : {dk, dv})
      if (sum && sum.beta == 0) fill(sum.to, 0, s.B * s.Tk * s.H * s.D);
    return;
  }
  Scratch<real> delta(s.B * s.H * s.Tq, *this);
  queue_.start(attention_delta, grid_x(s.B * s.H * s.Tq, kAttentionThreads / kWarp),
               kAttentionThreads, 0, delta.data(), dy.data, y, s);
  BackwardInputs in{};
  in.dy = dy.data;
  in.lse = lse;
  in.delta = delta.data();
  in.q = q.data;
  in.k = k.data;
  in.v = v.data;
  in.bias = bias;
  in.s = s;
  in.fours = s.D % 4 == 0 && aligned(in.dy, in.q, in.k, in.v, dq.to, dk.to, dv.to);
  RoundedCopy dy_scratch, q_scratch, k_scratch, v_scratch;
  if (precision_ == Precision::kBf16)
    in.rounded = {rounded(dy, s.B * s.Tq * s.H, s.D, dy_scratch),
                  rounded(q, s.B * s.Tq * s.H, s.D, q_scratch),
                  rounded(k, s.B * s.Tk * s.H, s.D, k_scratch),
                  rounded(v, s.B * s.Tk * s.H, s.D, v_scratch)};
  const auto heads = grid_yz(s.H);
  with_head_width(s.D, [&](auto padded) {
    constexpr int width = padded;
    const BackwardKernels kernels = kernels_of<width>(precision_);
    if (dk.to || dv.to)
      queue_.start(kernels.keys, dim3(grid_x(s.Tk, kernels.tile), heads, grid_yz(s.B)),
                   kernels.threads, kernels.keys_shared, dk, dv, in);

    const bool relative = bias.grad && bias.row_stride == -1;
    const auto queries = [&](int64_t b, int64_t sequences, int64_t tile, int64_t tiles,
                             real* sums) {
      in.first_sequence = b;
      in.first_tile = static_cast<int>(tile);
      queue_.start(kernels.queries, dim3(grid_x(tiles, 1), heads, grid_yz(sequences)),
                   kernels.threads, kernels.queries_shared, dq, sums, in);
    };
    const int64_t all_tiles = blocks_of(s.Tq, kernels.tile);
    if (relative) {
      for_portions(s.B, all_tiles, s.H * s.Tk, most_sums_,
                   [&](int64_t b, int64_t sequences, int64_t tile, int64_t tiles) {
                     Scratch<real> sums(sequences * s.H * tiles * s.Tk, *this);
                     fill(sums.data(), 0, sequences * s.H * tiles * s.Tk);
                     queries(b, sequences, tile, tiles, sums.data());
                     // The view's element for query i and key j, grad[j - i], is
                     // grad[offset - distance].
                     queue_.start(add_by_distance<-1>, dim3(grid_x(s.Tk, kAttentionThreads), heads),
                                  kAttentionThreads, 0, bias.grad + s.offset, bias.head_stride,
                                  sums.data(), sequences, s.H, tiles, s.Tk);
                   });
    } else if (dq.to) {
      queries(0, s.B, 0, all_tiles, nullptr);
    }
    if (bias.grad && !relative)
      queue_.start(precision_ == Precision::kBf16 ? attention_backward_bias<width, true>
                                                  : attention_backward_bias<width, false>,
                   dim3(grid_x(s.Tk, kTileRows<width> / 2),
                        grid_yz(blocks_of(s.Tq, kTileRows<width>)), heads),
                   kAttentionThreads, sizeof(QueriesShared<width>), in);
  });
}

}  // namespace farsight
