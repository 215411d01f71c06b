// CUDA's built-in functions that one thread executes alone: atomics, fences, bits and fast maths.
#pragma once

#include <bit>
#include <cmath>
#include <type_traits>

#include "language.h"

namespace emulator {

/// Ends the kernel with an Error.
[[noreturn]] void trap(Site site);

/// From here on the thread's atomics order its other accesses.
void fence();
bool fenced();

/// Replaces *at by next(*at) in one step and returns what was there. Orders other accesses only
/// after a fence, as on a device, which is what a race detector goes by.
template <class T, class Next>
T replace(T* at, Next next) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static_assert(sizeof(T) == sizeof(Bits));
  Bits* const bits = reinterpret_cast<Bits*>(at);
  Bits old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  while (true) {
    const Bits wanted = std::bit_cast<Bits>(static_cast<T>(next(std::bit_cast<T>(old))));
    const bool done = fenced() ? __atomic_compare_exchange_n(bits, &old, wanted, false,
                                                             __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
                               : __atomic_compare_exchange_n(bits, &old, wanted, false,
                                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (done) return std::bit_cast<T>(old);
  }
}

}  // namespace emulator

template <class T>
T atomicAdd(T* at, std::type_identity_t<T> x) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> ||
                    std::is_same_v<T, unsigned long long> || std::is_floating_point_v<T>,
                "CUDA has no atomicAdd for this type");
  return emulator::replace(at, [x](T old) { return old + x; });
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> x) {
  return emulator::replace(at, [x](T old) { return old < x ? x : old; });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> x) {
  return emulator::replace(at, [x](T old) { return x < old ? x : old; });
}
template <class T>
T atomicExch(T* at, std::type_identity_t<T> x) {
  return emulator::replace(at, [x](T) { return x; });
}
template <class T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> x) {
  return emulator::replace(at, [=](T old) { return old == expected ? x : old; });
}

inline void __threadfence() { emulator::fence(); }
inline void __threadfence_block() { emulator::fence(); }
[[noreturn]] inline void __trap(EMULATOR_SITE) { emulator::trap(site); }

template <class T>
T __ldg(const T* from) {
  return *from;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

// The C library declares some of these names, without throwing.
inline float __expf(float x) noexcept { return std::exp(x); }
inline float __logf(float x) noexcept { return std::log(x); }
inline float __log2f(float x) noexcept { return std::log2(x); }
inline float __sinf(float x) noexcept { return std::sin(x); }
inline float __cosf(float x) noexcept { return std::cos(x); }
inline float __powf(float x, float y) noexcept { return std::pow(x, y); }
inline double rsqrt(double x) noexcept { return 1 / std::sqrt(x); }
inline float rsqrtf(float x) noexcept { return static_cast<float>(rsqrt(x)); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

namespace emulator {

/// min() and max() are there for two integers or two floating-point numbers, of mixed sizes.
template <class A, class B>
concept Comparable = (std::is_integral_v<A> && std::is_integral_v<B>) ||
                     (std::is_floating_point_v<A> && std::is_floating_point_v<B>);

}  // namespace emulator

template <class A, class B>
requires emulator::Comparable<A, B> std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmin(static_cast<T>(a), static_cast<T>(b));
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(a) : static_cast<T>(b);
}
template <class A, class B>
requires emulator::Comparable<A, B> std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmax(static_cast<T>(a), static_cast<T>(b));
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}

namespace farsight::gpu {

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace farsight::gpu
