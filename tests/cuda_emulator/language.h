// CUDA's additions to C++: the keywords, the vector types, the built-in variables, shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__

// The sizes and alignments of the toolkit's types: a vector at an address that is not a multiple of
// its size faults on a device, and -fsanitize=alignment sees it here. Kernels read other types'
// memory through them.
#define EMULATOR_VECTOR(T, name, alignment2, alignment4)             \
  struct __attribute__((may_alias, aligned(alignment2))) name##2 {   \
    T x, y;                                                          \
  };                                                                 \
  struct name##3 {                                                   \
    T x, y, z;                                                       \
  };                                                                 \
  struct __attribute__((may_alias, aligned(alignment4))) name##4 {   \
    T x, y, z, w;                                                    \
  };                                                                 \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATOR_VECTOR(int, int, 8, 16)
EMULATOR_VECTOR(unsigned, uint, 8, 16)
EMULATOR_VECTOR(float, float, 8, 16)
EMULATOR_VECTOR(double, double, 16, 16)
EMULATOR_VECTOR(short, short, 4, 8)
EMULATOR_VECTOR(unsigned short, ushort, 4, 8)
EMULATOR_VECTOR(unsigned char, uchar, 2, 4)
#undef EMULATOR_VECTOR

struct dim3 {
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  unsigned x, y, z;
};

namespace emulator {

/// A place in the source code, for reports.
struct Site {
  const char* file;
  int line;
};

/// What a kernel sees of the thread that runs it.
struct Thread {
  uint3 index;
  unsigned number;  // in its block; its lane is number % 32
};

/// What a kernel sees of the launch that it is part of.
struct Geometry {
  uint3 block_index;
  dim3 block, grid;
};

extern Thread* current_thread;  // null outside kernels
extern Geometry geometry;

/// The block's shared variable of this key, which is made by the first thread that asks.
void* static_shared(const void* key, const char* name, size_t bytes);

/// The block's dynamic shared memory.
void* dynamic_shared();

template <class T>
using Identity = T;

}  // namespace emulator

#define threadIdx (::emulator::current_thread->index)
#define blockIdx (::emulator::geometry.block_index)
#define blockDim (::emulator::geometry.block)
#define gridDim (::emulator::geometry.grid)
inline constexpr int warpSize = 32;

/// A variable in the block's shared memory: SHARED(tile, float[16][17]);
#define SHARED(name, ...)                                                                     \
  static const char name##_key_ = 0;                                                          \
  ::emulator::Identity<__VA_ARGS__>& name = *static_cast<::emulator::Identity<__VA_ARGS__>*>( \
      ::emulator::static_shared(&name##_key_, #name, sizeof(::emulator::Identity<__VA_ARGS__>)))

/// The block's dynamic shared memory, whose size the launch gives, as a T*.
#define DYN_SHARED(T, name) T* name = static_cast<T*>(::emulator::dynamic_shared())

/// The place of the call, as the last parameter of a function.
#define EMULATOR_SITE ::emulator::Site site = {__builtin_FILE(), __builtin_LINE()}
