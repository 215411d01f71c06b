// Where attention goes: the probabilities p = e^(score - lse), computed again tile by tile and
// summed by distance (see attention_tile.cuh), with the entropy of each row. Twin of
// core/cpu/attention_mass.cpp.
#include "cuda/attention_fp32.cuh"
#include "cuda/cuda_backend.h"

namespace farsight {
namespace {

template <int width>
struct MassShared {
  PaddedTile<kTileRows<width>, width> q;
  PaddedTile<kTileRows<width> / 2, width> k;
  PaddedTile<kTileRows<width>, kTileRows<width> / 2> p;
  double slots[kAttentionThreads / kWarp];
};

/// A tile of queries: its sums of p by distance, and of -p log p (sequences, H, tiles).
template <int width>
__global__ void __launch_bounds__(kAttentionThreads)
    mass_of_tile(real* by_distance, double* entropy, const real* lse, const real* q, const real* k,
                 BiasView bias, AttentionSizes s, int64_t first_query, int64_t first_sequence,
                 bool fours) {
  constexpr int kQueries = kTileRows<width>, kKeys = kQueries / 2;
  DYN_SHARED(MassShared<width>, shared);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int64_t h = blockIdx.y, b = first_sequence + blockIdx.z;
  const int first = static_cast<int>(first_query) + static_cast<int>(blockIdx.x) * kQueries;
  const int window = s.windows ? s.windows[h] : 0;
  const HeadRows keys(k, b, h, s.Tk, s, fours);
  const int Tq = static_cast<int>(s.Tq), offset = static_cast<int>(s.offset);
  const int oldest = visible_keys(offset + first, window).begin;
  const int end = offset + min(first + kQueries, Tq);
  const int64_t tile = (blockIdx.z * s.H + h) * gridDim.x + blockIdx.x;
  real* const sums = by_distance + tile * s.Tk;

  double nats = 0;
  load_tile<kQueries, width>(shared->q, HeadRows(q, b, h, s.Tq, s, fours), first);
  for (int key = oldest; key < end; key += kKeys) {
    __syncthreads();
    load_tile<kKeys, width>(shared->k, keys, key);
    __syncthreads();
    real p[kQueries / 16][kKeys / 16] = {};
    multiply_rows<kQueries, kKeys, width>(p, shared->q, shared->k, tx, ty);
    for (int r = 0; r < kQueries / 16; ++r) {
      const int i = first + ty + 16 * r;
      const QueryRow row(i, h, bias, s, window);
      const real log_total = lse[(b * s.H + h) * s.Tq + (i < s.Tq ? i : 0)];
      for (int c = 0; c < kKeys / 16; ++c) {
        const int j = key + tx + 16 * c;
        const bool seen = i < s.Tq && row.sees(j);
        const real log_p = seen ? row.score(p[r][c], j, s.scale) - log_total : real(0);
        const real mass = seen ? std::exp(log_p) : real(0);
        if (mass > 0) nats -= mass * log_p;  // windows and distance make many of them 0
        shared->p[ty + 16 * r][tx + 16 * c] = mass;
      }
    }
    __syncthreads();
    if (threadIdx.x < kQueries + kKeys - 1) {
      const int number = threadIdx.x;
      const int distance = offset + first - key + number - (kKeys - 1);
      const real sum = diagonal_sum<kQueries, kKeys>(shared->p, number);
      if (distance >= 0 && distance < s.Tk) sums[distance] += sum;
    }
  }
  nats = over_block<Sum, kAttentionThreads>(nats, shared->slots);
  if (threadIdx.x == 0) entropy[tile] = nats;
}

/// entropy (H) += the sum over sequences and tiles. A thread per head.
__global__ void __launch_bounds__(kAttentionThreads)
    add_entropy(real* entropy, const double* of_tiles, int64_t B, int64_t H, int64_t tiles) {
  const int64_t h = static_cast<int64_t>(blockIdx.x) * kAttentionThreads + threadIdx.x;
  if (h >= H) return;
  double total = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < tiles; ++t) total += of_tiles[(b * H + h) * tiles + t];
  entropy[h] += static_cast<real>(total);
}

}  // namespace

void CudaBackend::attention_mass(real* mass, real* entropy, const real* lse, const real* q,
                                 const real* k, const BiasView& bias, const AttentionSizes& s,
                                 int64_t first_query) {
  fill(mass, 0, s.H * s.Tk);
  fill(entropy, 0, s.H);
  if (s.B == 0) return;
  const auto heads = grid_yz(s.H);
  with_head_width(s.D, [&](auto padded) {
    constexpr int width = padded;
    // Beside scores in fp32 the denominators of scores in bf16 would not do.
    const bool again = precision_ == Precision::kBf16;
    Scratch<real> mixed(again ? s.B * s.Tq * s.H * s.D : 0, *this);
    Scratch<real> exact(again ? s.B * s.H * s.Tq : 0, *this);
    const bool fours = s.D % 4 == 0 && aligned(q, k);
    if (again)
      queue_.start(attention_forward<width>,
                   dim3(grid_x(s.Tq, kTileRows<width>), heads, grid_yz(s.B)), kAttentionThreads,
                   sizeof(ForwardShared<width>), mixed.data(), exact.data(), q, k, k, bias, s,
                   fours);
    const real* const denominators = again ? exact.data() : lse;
    for_portions(
        s.B, blocks_of(s.Tq - first_query, kTileRows<width>), s.H * s.Tk, most_sums_,
        [&](int64_t b, int64_t sequences, int64_t tile, int64_t tiles) {
          const int64_t count = sequences * s.H * tiles;
          Scratch<real> sums(count * s.Tk, *this);
          Scratch<double> nats(count, *this);
          fill(sums.data(), 0, count * s.Tk);
          queue_.start(mass_of_tile<width>, dim3(grid_x(tiles, 1), heads, grid_yz(sequences)),
                       kAttentionThreads, sizeof(MassShared<width>), sums.data(), nats.data(),
                       denominators, q, k, bias, s, first_query + tile * kTileRows<width>, b,
                       fours);
          queue_.start(add_by_distance<1>, dim3(grid_x(s.Tk, kAttentionThreads), heads),
                       kAttentionThreads, 0, mass, s.Tk, sums.data(), sequences, s.H, tiles, s.Tk);
          queue_.start(add_entropy, grid_x(s.H, kAttentionThreads), kAttentionThreads, 0, entropy,
                       nats.data(), sequences, s.H, tiles);
        });
  });
}

}  // namespace farsight
