// The device, its memory, and what its errors mean.
#include <algorithm>
#include <cstring>

#include "cuda/cuda_backend.h"
#include "cuda/kernel.h"

namespace farsight {
namespace {

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

/// Throws Error unless there is a device that this program's kernels can run on.
void require_device() {
  int driver = 0, toolkit = 0, count = 0;
  cudaRuntimeGetVersion(&toolkit);
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver) {
    cudaGetLastError();
    check(cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0,
          "--device cuda: no NVIDIA driver is installed; install one, or use --device cpu");
    fail("--device cuda: the driver knows CUDA ", version_text(driver),
         ", this program was built with ", version_text(toolkit),
         "; install a newer driver, build with an older toolkit, or use --device cpu");
  }
  check(code == cudaSuccess && count > 0, "--device cuda: no GPU can be used (",
        cudaGetErrorString(code == cudaSuccess ? cudaErrorNoDevice : code), "); use --device cpu");
}

Backend& open_cuda() {
  // Never destroyed, as the CPU's.
  static CudaBackend& backend = *new CudaBackend;
  return backend;
}

const BackendEntry entry("cuda", open_cuda);

}  // namespace

void require_ok(cudaError_t code) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky is over with this
  if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorUnsupportedPtxVersion ||
      code == cudaErrorInvalidDeviceFunction)
    fail(
        "[cuda] the program has no kernels for this GPU; build it with SM= set to its "
        "compute capability, or use --device cpu");
  if (code == cudaErrorMemoryAllocation)
    fail("[cuda] out of device memory; use a smaller batch, length or model");
  fail("[cuda] ", cudaGetErrorString(code), " (", cudaGetErrorName(code),
       "); what was saved is intact: go on from the last checkpoint with --resume");
}

void allow_shared(const void* kernel, size_t bytes) {
  require_ok(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)));
}

CudaBackend::CudaBackend() {
  require_device();
  require_ok(cudaSetDevice(0));
  require_ok(cudaGetDeviceProperties(&device_, 0));
  check(device_.major > 7 || (device_.major == 7 && device_.minor >= 5), "--device cuda: the ",
        device_.name, " has compute capability ", device_.major, ".", device_.minor,
        ", and 7.5 is needed; use --device cpu");
  cudaFuncAttributes ignored;
  require_ok(cudaFuncGetAttributes(&ignored, sample_kernel()));  // are there kernels for it?
  cudaStream_t stream;
  require_ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  queue_ = Queue(stream);
}

std::string CudaBackend::description() const {
  return concat(device_.name, ", ", device_.multiProcessorCount, " multiprocessors, ",
                (device_.totalGlobalMem + (size_t{1} << 29)) >> 30, " GiB");
}

size_t CudaBackend::memory_bytes() const {
  size_t free = 0, total = 0;
  require_ok(cudaMemGetInfo(&free, &total));
  return free + pool().idle_bytes();
}

int64_t CudaBackend::workspace() const {
  return static_cast<int64_t>(device_.totalGlobalMem / (16 * sizeof(real)));
}

void CudaBackend::set_precision(Precision precision) {
  check(precision == Precision::kFp32 || device_.major >= 8, "the ", device_.name,
        " computes in fp32 only: tf32 and bf16 need compute capability 8.0; use --precision fp32");
  precision_ = precision;
}

void* CudaBackend::allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t code = cudaMalloc(&data, bytes ? bytes : 1);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail("out of device memory: ", bytes >> 20, " MiB more were asked for, ", memory_bytes() >> 20,
         " MiB are free; use a smaller batch, length or model");
  }
  require_ok(code);
  return data;
}

// cudaFree waits for kernels that may still use the memory; an error of theirs shows elsewhere.
void CudaBackend::release(void* data, size_t) { cudaFree(data); }

void CudaBackend::upload(void* to, const void* host, size_t bytes) {
  const auto* const from = static_cast<const char*>(host);
  for (size_t done = 0; done < bytes; done += kUploadBytes) {
    Upload& upload = uploads_[next_upload_++ % std::size(uploads_)];
    if (!upload.copied)
      require_ok(cudaEventCreateWithFlags(&upload.copied, cudaEventDisableTiming));
    if (!upload.memory && cudaMallocHost(&upload.memory, kUploadBytes) != cudaSuccess)
      fail("[cuda] the system gives no pinned memory for uploads, and 1 MiB is needed");
    require_ok(cudaEventSynchronize(upload.copied));
    const size_t count = std::min(kUploadBytes, bytes - done);
    std::memcpy(upload.memory, from + done, count);
    require_ok(cudaMemcpyAsync(static_cast<char*>(to) + done, upload.memory, count,
                               cudaMemcpyHostToDevice, queue_.stream()));
    require_ok(cudaEventRecord(upload.copied, queue_.stream()));
  }
}

void CudaBackend::download(void* host, const void* from, size_t bytes) {
  if (bytes)
    require_ok(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, queue_.stream()));
  wait();
}

void CudaBackend::wait() { require_ok(cudaStreamSynchronize(queue_.stream())); }

void CudaBackend::copy(real* y, const real* x, int64_t n) {
  if (n > 0)
    require_ok(cudaMemcpyAsync(y, x, n * sizeof(real), cudaMemcpyDeviceToDevice, queue_.stream()));
}

}  // namespace farsight
