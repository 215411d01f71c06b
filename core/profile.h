// Where the time of a training step goes: seconds, floating-point operations and bytes by op,
// forward and backward.
//
//   Profile profile;
//   {
//     const Profile::Scope measured(profile, backend);
//     …                       // ops, Tape::backward()
//     Profile::lap("update");  // what is not an op names itself
//   }
//
// Ops run one after the other, so that the time from the end of one to the end of the next is the
// next one's. At each lap the device is waited for, which costs speed on a GPU.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "core/tensor.h"

namespace farsight {

class Profile {
 public:
  struct Entry {
    int64_t calls = 0;
    double seconds = 0;
    double flops = 0;  // of matrix products, an addition and a multiplication counting as two
    double bytes = 0;  // of the tensors and gradients it is about, each once
  };
  struct Op {
    Entry forward, backward;
  };

  /// By the ops' names.
  const std::map<std::string, Op>& ops() const { return ops_; }
  double seconds() const;

  /// While it lives, what runs on this thread is measured. Scopes do not nest.
  class Scope {
   public:
    Scope(Profile& profile, Backend& backend);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  enum class Pass { kForward, kBackward };

  /// Ends a lap that began with the last one's end; nothing where nothing is measured.
  static void lap(const std::string& name, Pass pass = Pass::kForward, double bytes = 0);
  /// Whether something is measured: what a lap's bytes are not worth counting for otherwise.
  static bool active();

 private:
  using Clock = std::chrono::steady_clock;

  std::map<std::string, Op> ops_;
  Backend* backend_ = nullptr;
  Clock::time_point last_{};
  double last_flops_ = 0;
};

}  // namespace farsight
