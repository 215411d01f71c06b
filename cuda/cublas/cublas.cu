// The CUDA backend with its matrix products by cuBLAS: a yardstick for those of gemm.cu, built in
// by `make CUBLAS=1` and used by nobody who does not ask for it:
//
//   build/farsight bench --mode gemm --shape L --device cublas --precision bf16
//
// cuBLAS counts columns first, so that it is asked for cᵀ = op(b)ᵀ op(a)ᵀ. It rounds floats to TF32
// itself; in bf16 it gets the operands' rounded copies, as the kernels of gemm_bf16.cuh do.
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
    const bool rounding = precision_ == Precision::kBf16;
    const cublasComputeType_t compute =
        precision_ == Precision::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cudaDataType_t type = rounding ? CUDA_R_16BF : CUDA_R_32F;
    const int64_t a_columns = ta ? M : K, b_columns = tb ? K : N;
    RoundedCopy a_scratch, b_scratch;
    const auto matrix = [&](const Operand& x, int64_t rows, int64_t columns, RoundedCopy& scratch) {
      return rounding ? static_cast<const void*>(rounded(x, rows, columns, scratch)) : x.data;
    };
    const auto stride = [=](int64_t columns) {
      return static_cast<int>(rounding ? rounded_stride(columns) : columns);
    };
    require_ok(cublasGemmEx(handle_, tb ? CUBLAS_OP_T : CUBLAS_OP_N, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                            static_cast<int>(N), static_cast<int>(M), static_cast<int>(K), &alpha,
                            matrix(b, tb ? N : K, b_columns, b_scratch), type, stride(b_columns),
                            matrix(a, ta ? K : M, a_columns, a_scratch), type, stride(a_columns),
                            &beta, c, CUDA_R_32F, static_cast<int>(N), compute,
                            CUBLAS_GEMM_DEFAULT));
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
