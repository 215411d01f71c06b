// Attention of one new token to what the heads remember, in rings of each head's own size: the row
// of position p is p % capacity. Twin of core/cpu/cache.cpp.
//
// The rings' structures lie in host memory and travel with the launch, 64 heads at a time.
#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int64_t kHeadsAtOnce = 64;
constexpr int64_t kShortest = 32, kLongest = 256;  // keys of a block

/// The rings of heads `first` … `first + count - 1`.
struct Rings {
  HeadCache of[kHeadsAtOnce];
  int64_t first;
};

/// Calls f(rings, number of heads) for all heads, some at a time.
template <class F>
void for_heads(const HeadCache* caches, int64_t H, const F& f) {
  for (int64_t first = 0; first < H; first += kHeadsAtOnce) {
    Rings rings{};
    rings.first = first;
    const int64_t count = std::min(kHeadsAtOnce, H - first);
    std::copy_n(caches + first, count, rings.of);
    f(rings, static_cast<unsigned>(count));
  }
}

/// A thread per element of the last positions that a ring can hold; block row y is a head, z a
/// sequence.
__global__ void __launch_bounds__(kThreads)
    store_rows(Rings rings, const real* k, const real* v, int64_t first, int64_t T, int64_t H,
               int64_t D) {
  const auto& [keys, values, capacity] = rings.of[blockIdx.y];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x, t = i / D, d = i % D;
  if (t >= T || t < T - capacity) return;
  const int64_t b = blockIdx.z, h = rings.first + blockIdx.y;
  const int64_t from = ((b * T + t) * H + h) * D + d;
  const int64_t to = (b * capacity + (first + t) % capacity) * D + d;
  keys[to] = k[from];
  values[to] = v[from];
}

__global__ void __launch_bounds__(kThreads)
    load_rows(real* k, real* v, Rings rings, int64_t first, int64_t end, int64_t T, int64_t H,
              int64_t D) {
  const auto& [keys, values, capacity] = rings.of[blockIdx.y];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x, t = i / D, d = i % D;
  const int64_t position = first + t;
  if (position >= end) return;
  const int64_t b = blockIdx.z, h = rings.first + blockIdx.y;
  const int64_t to = ((b * T + t) * H + h) * D + d;
  const bool gone = position < end - capacity;
  const int64_t from = (b * capacity + position % capacity) * D + d;
  k[to] = gone ? real(0) : keys[from];
  v[to] = gone ? real(0) : values[from];
}

/// What to subtract from scores of which this is the largest: a warp that has seen only -infinity
/// would make infinity - infinity.
__device__ real finite_base(real largest) {
  return largest == -std::numeric_limits<real>::infinity() ? real(0) : largest;
}

/// What some of a head's keys make of its query: the largest score, the sum of e^(score - largest),
/// and, of each element, that of e^(score - largest) v.
constexpr int64_t part_size(int64_t D) { return D + 2; }

/// A block per head, sequence and `span` keys. Each warp takes some at a time, whose keys and
/// values are all on their way before any is used, with an online softmax of its own over the
/// elements of its lanes (up to 4 each); the warps' are put together at the end, as the result if
/// the block has all keys of its head, else as a part of it.
__global__ void __launch_bounds__(kThreads)
    attend(real* y, real* parts, const real* q, Rings rings, BiasView bias, int64_t position,
           int64_t H, int64_t D, int64_t span, real scale) {
  constexpr int kLaneParts = 4;  // elements of a lane: D <= 128
  constexpr int kAtOnce = 4;     // keys of a warp
  SHARED(largest_of, real[kWarps]);
  SHARED(total_of, real[kWarps]);
  SHARED(mixed_of, real[kWarps][kLaneParts * kWarp]);
  const auto& [keys, values, capacity] = rings.of[blockIdx.x];
  const int64_t b = blockIdx.y, h = rings.first + blockIdx.x;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t oldest = max(int64_t(0), position + 1 - capacity);
  const int64_t begin = oldest + blockIdx.z * span, end = min(position + 1, begin + span);
  const real* const bias_row = bias.base ? bias.base + h * bias.head_stride : nullptr;

  real query[kLaneParts], mixed[kLaneParts] = {};
  for (int i = 0; i < kLaneParts; ++i) {
    const int64_t d = lane + i * kWarp;
    query[i] = d < D ? q[(b * H + h) * D + d] : real(0);
  }
  real largest = -std::numeric_limits<real>::infinity(), total = 0;
  const int64_t place = begin % capacity;  // in the ring
  for (int64_t i = begin + warp * kAtOnce; i < end; i += kWarps * kAtOnce) {
    real key[kAtOnce][kLaneParts], value[kAtOnce][kLaneParts], added[kAtOnce], score[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      int64_t slot = place + (i - begin) + u;
      if (slot >= capacity) slot -= capacity;
      const bool there = i + u < end;
      const int64_t row = (b * capacity + slot) * D;
      added[u] = there && bias_row ? bias_row[i + u] : real(0);
#pragma unroll
      for (int part = 0; part < kLaneParts; ++part) {
        const int64_t d = lane + part * kWarp;
        key[u][part] = there && d < D ? keys[row + d] : real(0);
        value[u][part] = there && d < D ? values[row + d] : real(0);
      }
    }
    real top = largest;
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      real product = 0;
      for (int part = 0; part < kLaneParts; ++part) product += query[part] * key[u][part];
      product = over_lanes<Sum>(product);
      score[u] = i + u < end ? scale * product + added[u] : -std::numeric_limits<real>::infinity();
      top = Largest::of(score[u], top);
    }
    const real base = finite_base(top), shrink = std::exp(largest - base);
    total *= shrink;
    for (int part = 0; part < kLaneParts; ++part) mixed[part] *= shrink;
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      const real weight = std::exp(score[u] - base);
      total += weight;
      for (int part = 0; part < kLaneParts; ++part) mixed[part] += weight * value[u][part];
    }
    largest = top;
  }
  if (lane == 0) {
    largest_of[warp] = largest;
    total_of[warp] = total;
  }
  for (int part = 0; part < kLaneParts; ++part) mixed_of[warp][lane + part * kWarp] = mixed[part];
  __syncthreads();
  real top = largest_of[0];
  for (int w = 1; w < kWarps; ++w) top = Largest::of(largest_of[w], top);
  const bool whole = gridDim.z == 1;
  real* const to =
      whole ? nullptr
            : parts + ((b * gridDim.x + blockIdx.x) * gridDim.z + blockIdx.z) * part_size(D);
  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    real sum = 0, value = 0;
    for (int w = 0; w < kWarps; ++w) {
      const real share = std::exp(largest_of[w] - finite_base(top));  // 0 where there was no key
      sum += share * total_of[w];
      value += share * mixed_of[w][d];
    }
    if (whole) {
      y[(b * H + h) * D + d] = value / sum;
    } else {
      to[2 + d] = value;
      if (d == 0) {
        to[0] = top;
        to[1] = sum;
      }
    }
  }
}

/// Puts the parts of a head together; a block per head and sequence, a thread per element.
__global__ void __launch_bounds__(kThreads)
    join(real* y, const real* parts, int64_t count, int64_t first_head, int64_t H, int64_t D) {
  const int64_t b = blockIdx.y, h = first_head + blockIdx.x, d = threadIdx.x;
  if (d >= D) return;
  const real* const own = parts + (b * gridDim.x + blockIdx.x) * count * part_size(D);
  real top = own[0];
  for (int64_t i = 1; i < count; ++i) top = Largest::of(own[i * part_size(D)], top);
  real sum = 0, value = 0;
  for (int64_t i = 0; i < count; ++i) {
    const real* const part = own + i * part_size(D);
    const real share = std::exp(part[0] - finite_base(top));  // 0 for a part without keys
    sum += share * part[1];
    value += share * part[2 + d];
  }
  y[(b * H + h) * D + d] = value / sum;
}

}  // namespace

void CudaBackend::cache_store(const HeadCache* caches, const real* k, const real* v, int64_t first,
                              int64_t B, int64_t T, int64_t H, int64_t D) {
  if (B * T == 0) return;
  for_heads(caches, H, [&](const Rings& rings, unsigned count) {
    queue_.start(store_rows, dim3(grid_x(T * D, kThreads), count, grid_yz(B)), kThreads, 0, rings,
                 k, v, first, T, H, D);
  });
}

void CudaBackend::cache_load(real* k, real* v, const HeadCache* caches, int64_t first, int64_t end,
                             int64_t B, int64_t T, int64_t H, int64_t D) {
  if (B == 0 || first == end) return;
  for_heads(caches, H, [&](const Rings& rings, unsigned count) {
    queue_.start(load_rows, dim3(grid_x((end - first) * D, kThreads), count, grid_yz(B)), kThreads,
                 0, k, v, rings, first, end, T, H, D);
  });
}

void CudaBackend::cache_attention(real* y, const real* q, const HeadCache* caches,
                                  const BiasView& bias, int64_t position, int64_t B, int64_t H,
                                  int64_t D) {
  if (B == 0) return;
  check(D <= 128, "heads of ", D, " are wider than the 128 that --device cuda computes; ",
        "use more heads or --device cpu");
  const real scale = 1 / std::sqrt(static_cast<real>(D));
  for_heads(caches, H, [&](const Rings& rings, unsigned count) {
    int64_t longest = 0;
    for (unsigned h = 0; h < count; ++h) longest = std::max(longest, rings.of[h].capacity);
    // As many spans as give each multiprocessor two blocks, if those have something to do.
    const int64_t seen = std::min(longest, position + 1);
    const int64_t wanted = blocks_of(2 * device_.multiProcessorCount, count * B);
    const int64_t span = std::clamp(blocks_of(seen, wanted * 32) * 32, kShortest, kLongest);
    const int64_t spans = blocks_of(seen, span);
    Scratch<real> parts(spans > 1 ? B * count * spans * part_size(D) : 0, *this);
    queue_.start(attend, dim3(count, grid_yz(B), grid_yz(spans)), kThreads, 0, y, parts.data(), q,
                 rings, bias, position, H, D, span, scale);
    if (spans > 1)
      queue_.start(join, dim3(count, grid_yz(B)), kThreads, 0, y, parts.data(), spans, rings.first,
                   H, D);
  });
}

}  // namespace farsight
