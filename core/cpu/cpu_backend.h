// The CPU backend: fp32 matrix products by OpenBLAS, the rest by hand with OpenMP. One .cpp per
// topic in this folder implements the kernels that backend.h describes.
#pragma once

#include "core/backend.h"

namespace farsight {

class CpuBackend final : public Backend {
 public:
  // memory.cpp
  std::string description() const override;
  size_t memory_bytes() const override;
  /// By the system's account: the program and its libraries are in it.
  size_t peak_bytes() const override;
  int64_t workspace() const override { return int64_t{1} << 25; }  // 128 MiB in float
  void* allocate(size_t bytes) override;
  void release(void* data, size_t bytes) override;
  void upload(void* to, const void* host, size_t bytes) override;
  void download(void* host, const void* from, size_t bytes) override;
  void copy(real* y, const real* x, int64_t n) override;
  void fill(real* y, real value, int64_t n) override;

  // gemm.cpp
  void set_precision(Precision precision) override;
  void wait() override {}
  void gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M, int64_t N,
            int64_t K, real alpha, real beta, const Epilogue& epilogue) override;

  // elementwise.cpp
  void add(real* y, const real* a, const real* b, int64_t n) override;
  void multiply(real* y, const real* a, const real* b, int64_t n) override;
  void scale(real* y, const real* x, real alpha, int64_t n) override;
  void accumulate(real* y, const real* x, real alpha, int64_t n) override;
  void multiply_accumulate(real* y, const real* a, const real* b, int64_t n) override;
  void accumulate_scalar(real* y, const real* s, int64_t n) override;
  void map(Map kind, real* y, const real* x, int64_t n) override;
  void map_backward(Map kind, GradientSum dx, const real* dy, const real* x, int64_t n) override;
  void dropout(real* y, const real* x, real p, Stream stream, int64_t n) override;
  void dropout_backward(real* dx, const real* dy, real p, Stream stream, int64_t n) override;

  // rows.cpp
  void broadcast_rows(real* y, const real* b, int64_t N, int64_t C) override;
  void broadcast_rows_backward(real* db, const real* dy, int64_t N, int64_t C) override;
  void embedding(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C) override;
  void embedding_backward(real* dtable, const real* dy, const int32_t* ids, int64_t N, int64_t V,
                          int64_t C) override;

  // norm.cpp
  void layer_norm(real* y, real* mean, real* rstd, RoundedCopy* rounded, const real* x,
                  const real* gain, const real* shift, int64_t N, int64_t C, real epsilon) override;
  void layer_norm_backward(real* dx, real* dgain, real* dshift, const real* dy, const real* x,
                           const real* gain, const real* mean, const real* rstd, int64_t N,
                           int64_t C) override;

  // rotation.cpp
  void rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B, int64_t T,
              int64_t H, int64_t D) override;
  void rotate_backward(GradientSum dx, const real* dy, const real* table, PairLayout layout,
                       int64_t B, int64_t T, int64_t H, int64_t D) override;

  // attention.cpp, attention_backward.cpp and attention_mass.cpp
  void attention(real* y, real* lse, const Operand& q, const Operand& k, const Operand& v,
                 const BiasView& bias, const AttentionSizes& sizes) override;
  void attention_backward(GradientSum dq, GradientSum dk, GradientSum dv, const Operand& dy,
                          const real* y, const real* lse, const Operand& q, const Operand& k,
                          const Operand& v, const BiasView& bias,
                          const AttentionSizes& sizes) override;

  void attention_mass(real* mass, real* entropy, const real* lse, const real* q, const real* k,
                      const BiasView& bias, const AttentionSizes& sizes, int64_t first) override;

  // cache.cpp
  void cache_store(const HeadCache* caches, const real* k, const real* v, int64_t first, int64_t B,
                   int64_t T, int64_t H, int64_t D) override;
  void cache_load(real* k, real* v, const HeadCache* caches, int64_t first, int64_t end, int64_t B,
                  int64_t T, int64_t H, int64_t D) override;
  void cache_attention(real* y, const real* q, const HeadCache* caches, const BiasView& bias,
                       int64_t position, int64_t B, int64_t H, int64_t D) override;

  // loss.cpp
  void cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                     const int32_t* targets, int64_t N, int64_t V) override;
  void cross_entropy_gradient(real* logits, RoundedCopy* rounded, const real* dloss,
                              const real* lse, const int32_t* targets, int64_t N,
                              int64_t V) override;

  // optimizer.cpp
  void sum(real* y, const real* x, int64_t n) override;
  void sum_squares(real* y, const real* x, int64_t n) override;
  void adamw(real* p, real* m, real* v, real* g, const real* norm_squared, int64_t n,
             const AdamWStep& step) override;

 private:
  Precision precision_ = Precision::kFp32;
};

}  // namespace farsight
