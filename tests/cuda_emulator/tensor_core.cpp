// Tensor cores: fragments laid out over a warp's lanes as in the PTX manual, and their arithmetic.
#include "tensor_core.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "block.h"

namespace emulator {
namespace {

constexpr int kRows = 16, kColumns = 8, kMostDepth = 16;
constexpr int kFraction = 24;              // bits that a sum keeps below its largest number
constexpr int kLeast = -100, kMost = 120;  // exponents that truncated_sums() can do with

struct Operands {
  float* d;
  const uint32_t *a, *b;
};

/// A matrix and the exponents of its numbers, of 0 something very small.
template <int rows, int columns>
struct Matrix {
  float value[rows][columns];
  int exponent[rows][columns];
  void find_exponents() {
    for (int i = 0; i < rows; ++i)
#pragma omp simd
      for (int j = 0; j < columns; ++j) {
        const int field = std::bit_cast<int>(value[i][j]) >> 23 & 0xff;
        exponent[i][j] = value[i][j] == 0 ? -2000 : field - 127;
      }
  }
};

/// The operands in whole. Products that are not as deep leave the rest of a and b as it is.
struct Fragments {
  Matrix<kRows, kMostDepth> a{};
  Matrix<kMostDepth, kColumns> b{};
  float d[kRows][kColumns];
};

float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

/// d[row] += a[row] b for `first` <= k < `end`, rounded once.
void exact_sums(Fragments& f, int row, int first, int end) {
  for (int j = 0; j < kColumns; ++j) {
    double sum = f.d[row][j];
    for (int k = first; k < end; ++k)
      sum += static_cast<double>(f.a.value[row][k]) * f.b.value[k][j];
    f.d[row][j] = static_cast<float>(sum);
  }
}

/// The same as a device does it: everything is cut off kFraction bits below the leading bit of the
/// largest number, and so is what does not fit a float (after Xie et al., arXiv 2511.10909).
void truncated_sums(Fragments& f, int row, int first, int end) {
  int largest[kColumns], sum[kColumns], most = kLeast;
  float scale[kColumns];
#pragma omp simd
  for (int j = 0; j < kColumns; ++j)
    largest[j] = std::max((std::bit_cast<int>(f.d[row][j]) >> 23 & 0xff) - 127, kLeast);
  for (int k = first; k < end; ++k)
#pragma omp simd
    for (int j = 0; j < kColumns; ++j)
      largest[j] = std::max(largest[j], f.a.exponent[row][k] + f.b.exponent[k][j]);
  for (int j = 0; j < kColumns; ++j) most = std::max(most, largest[j]);
  if (most > kMost) return exact_sums(f, row, first, end);  // infinite, NaN or not far from it
#pragma omp simd
  for (int j = 0; j < kColumns; ++j) {
    scale[j] = power_of_two(kFraction - largest[j]);
    sum[j] = static_cast<int>(f.d[row][j] * scale[j]);
  }
  for (int k = first; k < end; ++k)
#pragma omp simd
    for (int j = 0; j < kColumns; ++j)
      sum[j] += static_cast<int>(f.a.value[row][k] * f.b.value[k][j] * scale[j]);
#pragma omp simd
  for (int j = 0; j < kColumns; ++j) {
    const unsigned magnitude = static_cast<unsigned>(std::abs(sum[j]));
    const int lost = std::max(static_cast<int>(std::bit_width(magnitude)) - 24, 0);
    const float kept = static_cast<float>(magnitude >> lost << lost) / scale[j];
    f.d[row][j] = sum[j] < 0 ? -kept : kept;
  }
}

/// What one of the two kinds of operands is: how many fit a register, how deep the product is.
template <int per_register>
struct Format {
  static constexpr int kDepth = 8 * per_register;
  static float element(const uint32_t* registers, int i) {
    if constexpr (per_register == 1)
      return std::bit_cast<float>(registers[i] & ~0x1fffu);
    else
      return std::bit_cast<float>(registers[i / 2] >> (i % 2 * 16) << 16);
  }
};

template <int per_register>
void complete_mma(Slot* slots, unsigned mask) {
  using F = Format<per_register>;
  constexpr int kHalf = F::kDepth / 2;
  if (mask != 0xffffffffu)
    fail("mma", slots[__builtin_ctz(mask)].site, "needs all 32 lanes, not mask %08x", mask);
  Fragments f;
  for (int lane = 0; lane < 32; ++lane) {
    const Operands& own = *static_cast<Operands*>(slots[lane].data);
    const int group = lane / 4, first = lane % 4 * per_register;
    for (int i = 0; i < 4 * per_register; ++i) {
      const int part = i / per_register, k = first + i % per_register + part / 2 * kHalf;
      f.a.value[group + part % 2 * 8][k] = F::element(own.a, i);
    }
    for (int i = 0; i < 2 * per_register; ++i) {
      const int part = i / per_register, k = first + i % per_register + part * kHalf;
      f.b.value[k][group] = F::element(own.b, i);
    }
    for (int i = 0; i < 4; ++i) f.d[group + i / 2 * 8][lane % 4 * 2 + i % 2] = own.d[i];
  }
  f.a.find_exponents();
  f.b.find_exponents();
  for (int row = 0; row < kRows; ++row) {
    if (options().truncating_mma) {
      truncated_sums(f, row, 0, kHalf);
      truncated_sums(f, row, kHalf, F::kDepth);
    } else {
      exact_sums(f, row, 0, F::kDepth);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    float* const d = static_cast<Operands*>(slots[lane].data)->d;
    for (int i = 0; i < 4; ++i) d[i] = f.d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

struct Rows {
  uint32_t* r;
  const uint16_t* row;
  int count;
  bool transposed;
};

void complete_load(Slot* slots, unsigned mask) {
  if (mask != 0xffffffffu)
    fail("ldmatrix", slots[__builtin_ctz(mask)].site, "needs all 32 lanes, not mask %08x", mask);
  const auto rows = [&](int lane) -> const Rows& { return *static_cast<Rows*>(slots[lane].data); };
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < rows(0).count; ++matrix) {
      const auto element = [&](int row, int column) -> uint32_t {
        return rows(matrix * 8 + row).row[column];
      };
      const int group = lane / 4, first = lane % 4 * 2;
      rows(lane).r[matrix] = rows(0).transposed
                                 ? element(first, group) | element(first + 1, group) << 16
                                 : element(group, first) | element(group, first + 1) << 16;
    }
}

}  // namespace

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  Operands operands{d, a, b};
  meet_in_warp(Together::kMma, 0xffffffffu, &operands, complete_mma<2>, site);
}

void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  Operands operands{d, a, b};
  meet_in_warp(Together::kMma, 0xffffffffu, &operands, complete_mma<1>, site);
}

void load_matrix(uint32_t* r, const void* row, int count, bool transposed, Site site) {
  if (lane() < count * 8) {
    if (reinterpret_cast<uintptr_t>(row) % 16)
      fail("ldmatrix", site, "a row's address is not a multiple of 16");
    if (!in_shared_memory(row, 16))
      fail("ldmatrix", site, "a row is not in a variable in shared memory");
    note_read(row, 16);
  }
  Rows rows{r, static_cast<const uint16_t*>(row), count, transposed};
  meet_in_warp(Together::kLoadMatrix, 0xffffffffu, &rows, complete_load, site);
}

}  // namespace emulator
