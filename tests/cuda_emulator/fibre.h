// Fibres: stacks that are switched between by hand, known to the sanitizers.
//
// The emulator's own files must not be compiled with -fsanitize=thread, which would take their
// bookkeeping for the kernels'. Where the kernels are, compile these with -DEMULATOR_TSAN instead.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#endif
#endif

#ifdef EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#endif

#ifdef EMULATOR_TSAN
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void* __tsan_get_current_fiber();
void __tsan_acquire(void* object);
void __tsan_release(void* object);
void __tsan_read4(void* address);
void __tsan_write4(void* address);
}
#endif

namespace emulator {

/// Where the builds with sanitizers differ from the plain one.
#ifdef EMULATOR_ASAN
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#ifdef EMULATOR_TSAN
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
inline constexpr bool kSanitized = kAddressSanitizer || kThreadSanitizer;

/// What a race detector is told, of accesses in multiples of 4 bytes. Nothing happens in other
/// builds.
inline void acquire([[maybe_unused]] void* object) {
#ifdef EMULATOR_TSAN
  __tsan_acquire(object);
#endif
}
inline void release([[maybe_unused]] void* object) {
#ifdef EMULATOR_TSAN
  __tsan_release(object);
#endif
}
inline void note_read([[maybe_unused]] const void* address, [[maybe_unused]] size_t bytes) {
#ifdef EMULATOR_TSAN
  for (size_t i = 0; i < bytes; i += 4)
    __tsan_read4(const_cast<char*>(static_cast<const char*>(address)) + i);
#endif
}
inline void note_write([[maybe_unused]] void* address, [[maybe_unused]] size_t bytes) {
#ifdef EMULATOR_TSAN
  for (size_t i = 0; i < bytes; i += 4) __tsan_write4(static_cast<char*>(address) + i);
#endif
}

/// Makes memory forbidden to, or allowed for, AddressSanitizer.
inline void forbid([[maybe_unused]] void* from, [[maybe_unused]] size_t bytes) {
#ifdef EMULATOR_ASAN
  ASAN_POISON_MEMORY_REGION(from, bytes);
#endif
}
inline void allow([[maybe_unused]] void* from, [[maybe_unused]] size_t bytes) {
#ifdef EMULATOR_ASAN
  ASAN_UNPOISON_MEMORY_REGION(from, bytes);
#endif
}

/// A stack and where its execution stopped.
struct Fibre {
  void* registers = nullptr;  // the stack pointer, below which the registers are saved
  char* stack = nullptr;
  size_t stack_bytes = 0;
  char* mapped = nullptr;      // the stack's memory, with a guard page at its start
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* tsan = nullptr;        // ThreadSanitizer's name for it
};

/// Makes `fibre` start with `start`, which never returns, on a stack that is made if there is none.
/// `stagger` spreads the tops of stacks over the cache's sets.
void prepare(Fibre& fibre, void (*start)(), unsigned stagger);

/// The stack that the host's code runs on.
void describe_host(Fibre& fibre);

/// Goes on with `to` and returns when somebody comes back to `from`.
void switch_fibre(Fibre& from, Fibre& to);

/// The first thing that a fibre does.
void arrived_first_time();

}  // namespace emulator
