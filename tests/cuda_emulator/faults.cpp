// A handler of signals that sends the faulting thread into fail() instead of back to its kernel.
#include "faults.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "block.h"
#include "device_memory.h"

namespace emulator {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE};
constexpr size_t kHandlerStack = 64 << 10;

struct Fault {
  int signal;
  const char* address;
  bool write;
};

Fault fault;
struct sigaction earlier[std::size(kSignals)];
stack_t earlier_stack;

void report_fault() {
  const BlockThread& thread = self();
  if (fault.signal == SIGFPE) fail("arithmetic", thread.site, "an integer division by zero");
  const char* const what = fault.write ? "written" : "read";
  const char* const guard = thread.fibre->mapped;
  if (fault.address >= guard && fault.address < thread.fibre->stack)
    fail("stack overflow", thread.site, "a thread's local variables do not fit");
  if (reinterpret_cast<uintptr_t>(fault.address) < 65536)
    fail("out of bounds", thread.site, "a null pointer is %s", what);
  if (const Allocation* before = allocation_before(fault.address)) {
    const size_t distance = static_cast<size_t>(fault.address - before->data) - before->bytes;
    if (distance < (size_t{1} << 20))
      fail("out of bounds", thread.site, "%s %zu bytes past the end of an allocation of %zu", what,
           distance, before->bytes);
  }
  fail("out of bounds", thread.site, "%s at %p, which belongs to no allocation", what,
       static_cast<const void*>(fault.address));
}

void handle(int signal, siginfo_t* info, void* context) {
  if (!current_thread) {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &earlier[i], nullptr);
    return;  // happens again, and is the earlier handler's
  }
  if (signal == SIGSEGV)
    if (Allocation* allocation = find_allocation(info->si_addr, 1);
        allocation && !allocation->open) {
      open_allocation(*allocation);
      return;
    }
  fault = {signal, static_cast<const char*>(info->si_addr), false};
#if defined(__x86_64__) && defined(__linux__)
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  fault.write = registers[REG_ERR] & 2;
  const Fibre& fibre = *self().fibre;
  registers[REG_RSP] = reinterpret_cast<greg_t>(fibre.stack + fibre.stack_bytes - 72);
  registers[REG_RIP] = reinterpret_cast<greg_t>(&report_fault);
#else
  (void)context;
  std::fprintf(stderr, "emulator: out of bounds: a kernel touched %p, block (%u,%u,%u)\n",
               info->si_addr, geometry.block_index.x, geometry.block_index.y,
               geometry.block_index.z);
  _exit(1);
#endif
}

}  // namespace

FaultGuard::FaultGuard() {
  if (kSanitized) return;
  alignas(16) static char stack[kHandlerStack];
  stack_t own{};
  own.ss_sp = stack;
  own.ss_size = sizeof stack;
  sigaltstack(&own, &earlier_stack);
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &earlier[i]);
}

FaultGuard::~FaultGuard() {
  if (kSanitized) return;
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &earlier[i], nullptr);
  sigaltstack(&earlier_stack, nullptr);
}

}  // namespace emulator
