// Switching between stacks: by hand on x86-64, with ucontext elsewhere (-DEMULATOR_UCONTEXT).
#include "fibre.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#if !defined(__x86_64__) && !defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT 1
#endif

#ifdef EMULATOR_UCONTEXT
#include <ucontext.h>
#endif
#ifdef EMULATOR_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef EMULATOR_UCONTEXT
extern "C" void emulator_switch(void** save, void* load);

// Saves the registers that a function has to preserve, changes the stack, and takes them from
// there.
asm(R"(
.text
.globl emulator_switch
.type emulator_switch,@function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch,.-emulator_switch
)");
#endif

namespace emulator {
namespace {

constexpr size_t kGuard = 4096;
constexpr size_t kStack = size_t{256} << 10;

void make_stack(Fibre& fibre) {
  void* const memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::fputs("emulator: no memory for the stacks of a block's threads\n", stderr);
    std::abort();
  }
  fibre.mapped = static_cast<char*>(memory);
  mprotect(fibre.mapped, kGuard, PROT_NONE);
  fibre.stack = fibre.mapped + kGuard;
  fibre.stack_bytes = kStack;
}

void switch_stack(Fibre& from, Fibre& to) {
#ifdef EMULATOR_UCONTEXT
  if (!from.registers) from.registers = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.registers), static_cast<ucontext_t*>(to.registers));
#else
  emulator_switch(&from.registers, to.registers);
#endif
}

}  // namespace

void prepare(Fibre& fibre, void (*start)(), [[maybe_unused]] unsigned stagger) {
  if (!fibre.stack) make_stack(fibre);
  allow(fibre.stack, fibre.stack_bytes);
  fibre.fake_stack = nullptr;
#ifdef EMULATOR_TSAN
  if (fibre.tsan) __tsan_destroy_fiber(fibre.tsan);
  fibre.tsan = __tsan_create_fiber(0);
#endif
#ifdef EMULATOR_UCONTEXT
  if (!fibre.registers) fibre.registers = new ucontext_t;
  ucontext_t* const context = static_cast<ucontext_t*>(fibre.registers);
  getcontext(context);
  context->uc_stack.ss_sp = fibre.stack;
  context->uc_stack.ss_size = fibre.stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, start, 0);
#else
  // As if `start` had been called: its return address (none), itself for `ret`, six registers.
  char* const top = fibre.stack + fibre.stack_bytes - 72 - stagger % 61 * 320;
  void** const words = reinterpret_cast<void**>(top);
  words[0] = nullptr;
  words[-1] = reinterpret_cast<void*>(start);
  for (int i = 2; i <= 7; ++i) words[-i] = nullptr;
  fibre.registers = words - 7;
#endif
}

void describe_host([[maybe_unused]] Fibre& fibre) {
#ifdef EMULATOR_ASAN
  pthread_attr_t attributes;
  void* stack = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &stack, &fibre.stack_bytes);
  pthread_attr_destroy(&attributes);
  fibre.stack = static_cast<char*>(stack);
#endif
#ifdef EMULATOR_TSAN
  fibre.tsan = __tsan_get_current_fiber();
#endif
}

void switch_fibre(Fibre& from, Fibre& to) {
#ifdef EMULATOR_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
#endif
#ifdef EMULATOR_TSAN
  __tsan_switch_to_fiber(to.tsan, 1);  // 1: switching orders nothing
#endif
  switch_stack(from, to);
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void arrived_first_time() {
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace emulator
