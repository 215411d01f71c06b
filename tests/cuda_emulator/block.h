// The block that is executing: its threads, what they wait for, its shared memory. Blocks of a grid
// run one after the other.
//
// A thread gets a fibre when its turn comes. One that ends hands its stack on to the next thread
// that has not begun, without a switch; only threads that wait keep theirs.
#pragma once

#include <deque>
#include <vector>

#include "emulator.h"
#include "fibre.h"

namespace emulator {

inline constexpr unsigned kWarpLanes = 32;
inline constexpr unsigned kMostThreads = 1024;
inline constexpr size_t kSharedUnasked = 48 << 10;  // without cudaFuncSetAttribute
inline constexpr size_t kSharedMost = 99 << 10;

enum class State : uint8_t { kReady, kAtBarrier, kInWarp, kDone };

/// The copies of one thread that have not arrived. Of fixed size, since a fibre must not allocate
/// memory, which a race detector would see.
struct AsyncCopies {
  static constexpr unsigned kMost = 256;
  struct Copy {
    void* to;
    const void* from;
    unsigned bytes;
    bool valid;
  };
  Copy copies[kMost];
  unsigned groups[kMost];  // the numbers of copies of the groups that are committed
  unsigned first_copy, copy_count, first_group, group_count;
  unsigned open;  // copies that no group has yet
};

struct BlockThread : Thread {
  bool fenced;  // has executed __threadfence()
  State state;
  Site site;  // of the last barrier, warp operation or copy
  Fibre* fibre;
  int warp_syncs;  // how often it has met others in a way that orders memory accesses
};

struct Warp {
  Slot slots[kWarpLanes];
  uint32_t members, arrived, done;
  char order[2];  // what __syncwarp orders by, in turns
};

/// A variable in shared memory, followed by kRedZone bytes that nobody may touch.
struct SharedVariable {
  const void* key;
  const char* name;
  char* data;
  size_t bytes;
};

struct Block {
  // Threads.
  std::vector<BlockThread> threads;
  std::vector<Warp> warps;
  std::vector<AsyncCopies> copies;
  unsigned size = 0;   // threads
  unsigned alive = 0;  // threads that have not ended
  uint64_t ready[kMostThreads / 64];
  const Call* call = nullptr;

  // The barrier.
  unsigned waiting = 0;
  Barrier barrier_kind;
  BlockThread* first_waiting;
  int predicates, result;  // how many predicates hold; what the last barrier returned
  unsigned barriers = 0;   // completed ones
  char barrier_order[2];   // what barriers order by, in turns

  // Scheduling.
  Fibre host;
  std::deque<Fibre> fibres;  // all that there are
  std::vector<Fibre*> idle;
  size_t next_fibre = 0;  // of the launch, where each thread has its own
  unsigned position = 0;  // where a round goes on
  unsigned random_warp = 0, stay = 1;
  uint64_t random = 1;

  // Shared memory.
  char* arena = nullptr;
  size_t arena_bytes = 0, dynamic_bytes = 0, static_bytes = 0, arena_used = 0, shared_limit = 0;
  SharedVariable variables[64];
  unsigned variable_count = 0;

  // The error that ended it.
  bool failed = false;
  char error[1024];

  void set_ready(unsigned thread) { ready[thread >> 6] |= uint64_t{1} << (thread & 63); }
  void clear_ready(unsigned thread) { ready[thread >> 6] &= ~(uint64_t{1} << (thread & 63)); }
};

extern Block block;

inline BlockThread& self() { return *static_cast<BlockThread*>(current_thread); }
inline Warp& own_warp() { return block.warps[current_thread->number / kWarpLanes]; }

/// The thread that shall go on, or null if none can.
BlockThread* pick_thread();

/// Where a round starts, and how long the random order stays with a warp.
void start_picking();

/// Lets others run until this thread, which is not ready, is.
void wait_for_others();

/// Executes one block; block.failed tells whether it ended with an error.
void run_block(const Call& call, dim3 shape, size_t shared_bytes);

/// Ends the block with an error that this thread is the cause of. Only within kernels.
[[noreturn]] void fail(const char* kind, Site site, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

/// "file:line" without folders, "?" where unknown. The text lasts until the fourth call from now.
const char* place(Site site);
const char* name_of(Together what);

/// Shared memory for a new block; checks what was written next to variables at its end.
void start_shared_memory(size_t dynamic_bytes);
void check_shared_memory();
bool in_shared_memory(const void* from, size_t bytes);

/// Writes or copies bytes without a function that sanitizers watch.
void fill_unseen(void* to, int value, size_t bytes);
void copy_unseen(void* to, const void* from, size_t bytes);

}  // namespace emulator
