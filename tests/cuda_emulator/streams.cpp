// Memory, copies, streams and events as the runtime API has them. All work is done at the call, but
// for copies from pinned host memory.
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <set>

#include "device.h"
#include "device_memory.h"
#include "emulator.h"

struct CUstream_st {};
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
  uint64_t copies = 0;  // asked for before it was recorded
};

namespace {

using namespace emulator;

std::set<cudaStream_t> streams;
std::set<cudaEvent_t> events;

/// Copies from pinned memory that were asked for and not made yet, and how many were made.
struct Deferred {
  void* to;
  const void* from;
  size_t bytes;
};
std::deque<Deferred> deferred;
uint64_t finished = 0;

uint64_t work = 0;                         // so far
uint64_t awaited_by_all = 0;               // the last work that has been waited for on every stream
std::map<cudaStream_t, uint64_t> awaited;  // and on one

/// The error of a call that is given this stream.
cudaError_t stream_error(cudaStream_t stream) {
  if (const cudaError_t error = device_error()) return error;
  return !stream || streams.count(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t event_error(cudaEvent_t event) {
  if (const cudaError_t error = device_error()) return error;
  return events.count(event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

/// Whether a copy of this kind goes between the device and the host in this way.
bool allowed(cudaMemcpyKind kind, bool to_device, bool from_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  Allocation* const target = find_allocation(to, 1);
  Allocation* const source = find_allocation(from, 1);
  if (!allowed(kind, target != nullptr, source != nullptr)) return cudaErrorInvalidValue;
  if ((target && !find_allocation(to, bytes)) || (source && !find_allocation(from, bytes)))
    return cudaErrorInvalidValue;
  if (target) open_allocation(*target);
  if (source) open_allocation(*source);
  std::memmove(to, from, bytes);
  close_allocations();
  return cudaSuccess;
}

/// As copy(), which is made later if the source is pinned host memory.
cudaError_t start_copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                       cudaStream_t stream) {
  for (const void* used : {static_cast<const void*>(to), from})
    if (Allocation* const allocation = find_allocation(used, 1))
      use_allocation(*allocation, stream);
  if (kind != cudaMemcpyHostToDevice || !is_pinned(from)) {
    finish_copies();
    return copy(to, from, bytes, kind);
  }
  if (bytes && !find_allocation(to, bytes)) return cudaErrorInvalidValue;
  deferred.push_back({to, from, bytes});
  return cudaSuccess;
}

}  // namespace

void emulator::use_allocation(Allocation& allocation, cudaStream_t stream) {
  if (allocation.user != stream && allocation.work > awaited_by_all &&
      allocation.work > awaited[allocation.user]) {
    close_allocations();
    throw Error("emulator: streams: memory is used that another stream's work may still use");
  }
  allocation.user = stream;
  allocation.work = ++work;
}

void emulator::finish_copies(uint64_t count) {
  for (; !deferred.empty() && finished < count; ++finished) {
    const Deferred next = deferred.front();
    deferred.pop_front();
    copy(next.to, next.from, next.bytes, cudaMemcpyHostToDevice);
  }
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = error_of_kernels()) return record(error);
  finish_copies();
  awaited_by_all = work;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  if (const cudaError_t error = device_error()) return record(error);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  *pointer = allocate_device(bytes);
  return record(*pointer ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* pointer) {
  if (const cudaError_t error = cudaDeviceSynchronize()) return error;
  if (!pointer) return cudaSuccess;
  return record(free_device(pointer) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t error = device_error()) return record(error);
  *total = options().memory;
  *free = *total > allocated_bytes() ? *total - allocated_bytes() : 0;
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t error = cudaDeviceSynchronize()) return error;
  return record(copy(to, from, bytes, kind));  // which the host waits for
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t error = stream_error(stream)) return record(error);
  return record(device_broken() ? cudaSuccess : start_copy(to, from, bytes, kind, stream));
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return cudaMemsetAsync(to, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = stream_error(stream)) return record(error);
  if (bytes == 0 || device_broken()) return cudaSuccess;
  Allocation* const target = find_allocation(to, bytes);
  if (!target) return record(cudaErrorInvalidValue);
  finish_copies();
  use_allocation(*target, stream);
  open_allocation(*target);
  std::memset(to, value, bytes);
  close_allocations();
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (const cudaError_t error = device_error()) return record(error);
  *stream = *streams.insert(new CUstream_st).first;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!streams.erase(stream)) return record(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t error = error_of_kernels()) return record(error);
  finish_copies();
  awaited[stream] = work;
  return record(stream_error(stream));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (const cudaError_t error = stream_error(stream)) return record(error);
  awaited_by_all = work;  // rather than what the event stands for
  return record(event_error(event));
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (const cudaError_t error = device_error()) return record(error);
  *event = *events.insert(new CUevent_st).first;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = stream_error(stream)) return record(error);
  if (const cudaError_t error = event_error(event)) return record(error);
  event->time = std::chrono::steady_clock::now();
  event->copies = finished + deferred.size();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t error = error_of_kernels()) return record(error);
  if (const cudaError_t error = event_error(event)) return record(error);
  finish_copies(event->copies);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (const cudaError_t error = event_error(start)) return record(error);
  if (const cudaError_t error = event_error(end)) return record(error);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!events.erase(event)) return record(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
