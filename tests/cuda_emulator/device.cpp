// The emulated device: its properties, its errors, the sizes of its memory.
#include "device.h"

#include <cstdio>
#include <map>

#include "block.h"
#include "device_memory.h"

namespace emulator {
namespace {

constexpr int kToolkit = 13000;

struct Device {
  cudaError_t last = cudaSuccess;     // of the last call that failed
  cudaError_t pending = cudaSuccess;  // of a kernel, before anybody has waited for it
  cudaError_t broken = cudaSuccess;   // what every call returns from then on
  std::map<const void*, size_t> shared;
};

Device& device() {
  static Device& device = *new Device;
  return device;
}

/// Whether the error is one of a kernel that runs, after which the device is of no more use.
bool is_of_execution(cudaError_t error) {
  return error == cudaErrorECCUncorrectable ||
         (error >= cudaErrorIllegalAddress && error != cudaErrorLaunchOutOfResources);
}

}  // namespace

Options& options() {
  static Options options;
  return options;
}

Stats& stats() {
  static Stats stats{};
  return stats;
}

void reset() {
  options() = Options();
  device().last = device().pending = device().broken = cudaSuccess;
}

cudaError_t device_error() {
  if (options().driver / 1000 < kToolkit / 1000) return cudaErrorInsufficientDriver;
  if (options().devices == 0) return cudaErrorNoDevice;
  return device().broken;
}

cudaError_t record(cudaError_t error) {
  if (error != cudaSuccess) device().last = error;
  return error;
}

void break_device(cudaError_t error) {
  if (is_of_execution(error)) {
    device().pending = error;
  } else {
    record(error);
  }
}

bool device_broken() { return device().pending != cudaSuccess; }

cudaError_t error_of_kernels() {
  if (device_broken()) device().broken = device().pending;
  return device_error();
}

size_t allowed_shared(const void* kernel) {
  const auto found = device().shared.find(kernel);
  return found == device().shared.end() ? 0 : found->second;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  device().last = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  return device().broken != cudaSuccess ? device().broken : device().last;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (options().driver / 1000 < kToolkit / 1000) return record(cudaErrorInsufficientDriver);
  *count = options().devices;
  return record(options().devices ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return record(device_error());
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = device_error()) return record(error);
  return record(device >= 0 && device < options().devices ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = cudaSetDevice(device)) return error;
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof p.name, "emulated");
  p.totalGlobalMem = options().memory;
  p.sharedMemPerBlock = kSharedUnasked;
  p.sharedMemPerBlockOptin = kSharedMost;
  p.sharedMemPerMultiprocessor = kSharedMost + 1024;
  p.regsPerBlock = 65536;
  p.warpSize = kWarpLanes;
  p.maxThreadsPerBlock = kMostThreads;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = kMostThreads;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.major = options().major;
  p.minor = options().minor;
  p.multiProcessorCount = options().multiprocessors;
  p.maxThreadsPerMultiProcessor = 2048;
  p.l2CacheSize = 4 << 20;
  *properties = p;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const cudaError_t error = cudaGetDeviceProperties(&p, device)) return error;
  const std::map<cudaDeviceAttr, int> values = {
      {cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock},
      {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(p.sharedMemPerBlock)},
      {cudaDevAttrWarpSize, p.warpSize},
      {cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
      {cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor},
      {cudaDevAttrComputeCapabilityMajor, p.major},
      {cudaDevAttrComputeCapabilityMinor, p.minor},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(p.sharedMemPerBlockOptin)}};
  const auto found = values.find(attribute);
  if (found == values.end()) return record(cudaErrorInvalidValue);
  *value = found->second;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = options().driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kToolkit;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (const cudaError_t error = device_error()) return record(error);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kSharedMost) return record(cudaErrorInvalidValue);
  device().shared[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  if (const cudaError_t error = device_error()) return record(error);
  const size_t allowed = allowed_shared(kernel);
  *attributes = {};
  attributes->maxThreadsPerBlock = kMostThreads;
  attributes->numRegs = 32;
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(allowed ? allowed : kSharedUnasked);
  return cudaSuccess;
}
