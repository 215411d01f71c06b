// What the kernels need of CUDA beyond the language, each in one spelling: launches, shared memory,
// tensor cores, asynchronous copies. nvcc turns it into the instructions; every other compiler gets
// the emulator's versions (tests/cuda_emulator), so that the same sources run where there is no
// GPU.
#pragma once

#include <cuda_runtime.h>

#ifdef __CUDACC__

#include <cstdint>
#include <type_traits>

namespace farsight::gpu {
template <class T>
using Identity = T;
}

/// A variable in the block's shared memory: SHARED(tile, float[16][17]);
#define SHARED(name, ...) __shared__ __align__(16)::farsight::gpu::Identity<__VA_ARGS__> name

/// The block's dynamic shared memory, whose size the launch gives, as a T*.
#define DYN_SHARED(T, name)                                        \
  extern __shared__ __align__(16) unsigned char dynamic_shared_[]; \
  T* name = reinterpret_cast<T*>(dynamic_shared_)

namespace farsight::gpu {

/// kernel<<<grid, block, shared_bytes, stream>>>(args...); an error shows in cudaGetLastError().
template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            std::common_type_t<P>... args) {
  void* pointers[] = {static_cast<void*>(&args)..., nullptr};
  cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes,
                   stream);
}

// Tensor cores. Fragments are laid out over the lanes of a warp as the PTX manual draws them for
// mma.m16n8k16 and mma.m16n8k8; devices before 8.0 lack them for these types, and the host does
// not launch what needs them there.

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define FARSIGHT_ASM(...) asm volatile(__VA_ARGS__)
#else
#define FARSIGHT_ASM(...) __trap()
#endif

/// d (16, 8) += a (16, 16) b (16, 8): bf16 pairs in, float out.
__device__ __forceinline__ void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4],
                                               const uint32_t (&b)[2]) {
  FARSIGHT_ASM(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d (16, 8) += a (16, 8) b (8, 8): floats rounded to 10 bits of mantissa in, float out.
__device__ __forceinline__ void mma_tf32_1688(float (&d)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[2]) {
  FARSIGHT_ASM(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The nearest number with 10 bits of mantissa, ties away from zero.
__device__ __forceinline__ uint32_t round_to_tf32(float x) {
  uint32_t y = 0;
  FARSIGHT_ASM("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}

/// Four (two) 8x8 matrices of 16-bit numbers; lane i gives the address of row i % 8 of matrix i
/// / 8.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  FARSIGHT_ASM("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  FARSIGHT_ASM("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}

// Copies from global to shared memory that go on while the thread computes. Those between two
// commits form a group; cp_async_wait<n>() returns when all groups but the last n have arrived.

/// 16 bytes; zeros if not `valid`.
__device__ __forceinline__ void cp_async16(void* shared, const void* global, bool valid = true) {
  FARSIGHT_ASM("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(global), "r"(valid ? 16 : 0)
               : "memory");
}
/// 4 bytes; zeros if not `valid`.
__device__ __forceinline__ void cp_async4(void* shared, const void* global, bool valid = true) {
  FARSIGHT_ASM("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(global), "r"(valid ? 4 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
  FARSIGHT_ASM("cp.async.commit_group;" ::: "memory");
}
template <int n>
__device__ __forceinline__ void cp_async_wait() {
  FARSIGHT_ASM("cp.async.wait_group %0;" ::"n"(n) : "memory");
}

#undef FARSIGHT_ASM

/// 2^x by the one instruction for it, to 2 units in the last place; 0 for what float has no normal
/// number for.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace farsight::gpu

#endif  // __CUDACC__
