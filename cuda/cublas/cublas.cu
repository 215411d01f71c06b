// The CUDA backend with its matrix products by cuBLAS: a yardstick for those of gemm.cu, built in
// by `make CUBLAS=1` and used by nobody who does not ask for it:
//
//   build/farsight bench --mode gemm --shape L --device cublas --precision bf16
//
// cuBLAS counts columns first, so that it is asked for cᵀ = op(b)ᵀ op(a)ᵀ. It rounds floats to TF32
// or bf16 itself.
#include <cublas_v2.h>

#include "core/error.h"
#include "cuda/cuda_backend.h"

namespace farsight {
namespace {

void require_ok(cublasStatus_t status) {
  check(status == CUBLAS_STATUS_SUCCESS, "[cublas] ", cublasGetStatusString(status));
}

class CublasBackend final : public CudaBackend {
 public:
  CublasBackend() {
    require_ok(cublasCreate(&handle_));
    require_ok(cublasSetStream(handle_, queue_.stream()));
  }

  std::string description() const override { return CudaBackend::description() + ", cuBLAS"; }

  void gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M, int64_t N,
            int64_t K, real alpha, real beta, const Epilogue& epilogue) override {
    if (M * N * K == 0 || ((epilogue.bias || epilogue.residual) && beta != 0))
      return CudaBackend::gemm(c, a, b, ta, tb, M, N, K, alpha, beta, epilogue);
    count_flops(2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K));
    if (epilogue.bias || epilogue.residual) {
      epilogue.bias ? broadcast_rows(c, epilogue.bias, M, N) : fill(c, 0, M * N);
      if (epilogue.residual) accumulate(c, epilogue.residual, 1, M * N);
      beta = 1;
    }
    const cublasComputeType_t compute =
        precision_ == Precision::kBf16   ? CUBLAS_COMPUTE_32F_FAST_16BF
        : precision_ == Precision::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                         : CUBLAS_COMPUTE_32F;
    require_ok(cublasGemmEx(handle_, tb ? CUBLAS_OP_T : CUBLAS_OP_N, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                            static_cast<int>(N), static_cast<int>(M), static_cast<int>(K), &alpha,
                            b.data, CUDA_R_32F, static_cast<int>(tb ? K : N), a.data, CUDA_R_32F,
                            static_cast<int>(ta ? M : K), &beta, c, CUDA_R_32F, static_cast<int>(N),
                            compute, CUBLAS_GEMM_DEFAULT));
    if (epilogue.gelu) map(epilogue.kind, epilogue.gelu, c, M * N);
  }

 private:
  cublasHandle_t handle_ = nullptr;
};

Backend& open_cublas() {
  static CublasBackend& backend = *new CublasBackend;
  return backend;
}

const BackendEntry entry("cublas", open_cublas, BackendEntry::kByNameOnly);

}  // namespace
}  // namespace farsight
