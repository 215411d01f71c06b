// What people see of a long run: progress bars, durations, the machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/backend.h"

namespace farsight {

/// A bar on standard error, redrawn in place a few times a second; silent where standard error is
/// no terminal. Erased when destroyed.
class ProgressBar {
 public:
  ~ProgressBar();
  /// A new `what` starts a new bar, from whose start the time left is reckoned.
  void show(const std::string& what, int64_t done, int64_t total);
  /// Removes the bar, so that a line can be printed.
  void erase();

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_{};
  std::string shown_for_;
  Clock::time_point started_{};
  int64_t first_done_ = 0;
  bool visible_ = false;
};

/// "45 s", "12 min 5 s", "3 h 20 min".
std::string duration(double seconds);

/// "940", "12.5k", "4.20M".
std::string short_number(double value);

/// The most memory that this process has held of the backend, in MiB.
int64_t peak_mib(const Backend& backend);

}  // namespace farsight
