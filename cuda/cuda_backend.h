// The CUDA backend: every kernel of backend.h in CUDA C++. One .cu per topic in this folder, as in
// core/cpu. Everything runs on one stream; download() waits for the device, kernels
// do not.
#pragma once

#include <string>

#include "core/backend.h"
#include "core/buffer.h"
#include "cuda/bf16.h"
#include "cuda/queue.h"

namespace farsight {

class CudaBackend : public Backend {
 public:
  /// Opens the first device. Throws Error if there is none that can be used, saying why.
  CudaBackend();

  /// How many sums by distance attention may hold at a time: its scratch memory, 64 MiB of floats
  /// unless said otherwise.
  void limit_sums(int64_t most) { most_sums_ = most; }

  // device.cu
  std::string description() const override;
  size_t memory_bytes() const override;
  int64_t workspace() const override;
  bool keeps_rounded() const override { return precision_ == Precision::kBf16; }
  void set_precision(Precision precision) override;
  void wait() override;
  void* allocate(size_t bytes) override;
  void release(void* data, size_t bytes) override;
  void upload(void* to, const void* host, size_t bytes) override;
  void download(void* host, const void* from, size_t bytes) override;
  void copy(real* y, const real* x, int64_t n) override;
  void fill(real* y, real value, int64_t n) override;

  // gemm.cu, which chooses among gemm_simt.cuh, gemm_bf16.cuh, gemm_tf32.cuh and gemm_thin.cuh
  void gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M, int64_t N,
            int64_t K, real alpha, real beta, const Epilogue& epilogue) override;

  // elementwise.cu
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

  // rows.cu
  void broadcast_rows(real* y, const real* b, int64_t N, int64_t C) override;
  void broadcast_rows_backward(real* db, const real* dy, int64_t N, int64_t C) override;
  void embedding(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C) override;
  void embedding_backward(real* dtable, const real* dy, const int32_t* ids, int64_t N, int64_t V,
                          int64_t C) override;

  // norm.cu
  void layer_norm(real* y, real* mean, real* rstd, RoundedCopy* rounded, const real* x,
                  const real* gain, const real* shift, int64_t N, int64_t C, real epsilon) override;
  void layer_norm_backward(real* dx, real* dgain, real* dshift, const real* dy, const real* x,
                           const real* gain, const real* mean, const real* rstd, int64_t N,
                           int64_t C) override;

  // rotation.cu
  void rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B, int64_t T,
              int64_t H, int64_t D) override;
  void rotate_backward(GradientSum dx, const real* dy, const real* table, PairLayout layout,
                       int64_t B, int64_t T, int64_t H, int64_t D) override;

  // attention.cu, attention_backward.cu, attention_mass.cu
  void attention(real* y, real* lse, const Operand& q, const Operand& k, const Operand& v,
                 const BiasView& bias, const AttentionSizes& sizes) override;
  void attention_backward(GradientSum dq, GradientSum dk, GradientSum dv, const Operand& dy,
                          const real* y, const real* lse, const Operand& q, const Operand& k,
                          const Operand& v, const BiasView& bias,
                          const AttentionSizes& sizes) override;
  void attention_mass(real* mass, real* entropy, const real* lse, const real* q, const real* k,
                      const BiasView& bias, const AttentionSizes& sizes, int64_t first) override;

  // cache.cu
  void cache_store(const HeadCache* caches, const real* k, const real* v, int64_t first, int64_t B,
                   int64_t T, int64_t H, int64_t D) override;
  void cache_load(real* k, real* v, const HeadCache* caches, int64_t first, int64_t end, int64_t B,
                  int64_t T, int64_t H, int64_t D) override;
  void cache_attention(real* y, const real* q, const HeadCache* caches, const BiasView& bias,
                       int64_t position, int64_t B, int64_t H, int64_t D) override;

  // loss.cu
  void cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                     const int32_t* targets, int64_t N, int64_t V) override;
  void cross_entropy_gradient(real* logits, RoundedCopy* rounded, const real* dloss,
                              const real* lse, const int32_t* targets, int64_t N,
                              int64_t V) override;

  // optimizer.cu
  void sum(real* y, const real* x, int64_t n) override;
  void sum_squares(real* y, const real* x, int64_t n) override;
  void adamw(real* p, real* m, real* v, real* g, const real* norm_squared, int64_t n,
             const AdamWStep& step) override;

 protected:
  /// The operand (rows, columns) rounded to bf16: what an earlier product has left with it, or made
  /// now and left with it, or in `scratch`.
  const Bf16* rounded(const Operand& x, int64_t rows, int64_t columns, RoundedCopy& scratch);

  Queue queue_;
  Precision precision_ = Precision::kFp32;

 private:
  /// Some kernel (elementwise.cu), to ask the driver whether this device can run the program's.
  static const void* sample_kernel();

  /// Memory for a kernel that leaves its result (rows, columns) rounded; null if no product will
  /// ask for that.
  Bf16* to_round(RoundedCopy* copy, int64_t rows, int64_t columns);

  /// Host memory that the device copies from while the host goes on. Memory that may be paged out
  /// would make the host wait until all that was started before is done.
  static constexpr size_t kUploadBytes = 1 << 20;
  struct Upload {
    void* memory = nullptr;
    cudaEvent_t copied = nullptr;  // the last that was brought through it
  };
  Upload uploads_[4];
  unsigned next_upload_ = 0;

  cudaDeviceProp device_{};
  int64_t most_sums_ = int64_t{1} << 24;
};

}  // namespace farsight
