// Progress bars and descriptions: see log.h.
#include "train/log.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace farsight {
namespace {

std::string print(const char* format, auto... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

ProgressBar::~ProgressBar() { erase(); }

void ProgressBar::show(const std::string& what, int64_t done, int64_t total) {
  static const bool terminal = isatty(STDERR_FILENO);
  const auto now = Clock::now();
  if (what != shown_for_) {
    shown_for_ = what;
    started_ = now;
    first_done_ = done;
  } else if (now - last_ < std::chrono::milliseconds(200) && done < total) {
    return;
  }
  last_ = now;
  if (!terminal || total <= 0) return;
  constexpr int kWidth = 30;
  const double share = static_cast<double>(done) / total;
  const int filled = static_cast<int>(share * kWidth);
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  const double per_item = elapsed / static_cast<double>(std::max<int64_t>(1, done - first_done_));
  const std::string left =
      elapsed > 1 ? duration(per_item * static_cast<double>(total - done)) + " left" : "";
  std::fprintf(stderr, "\r\033[K%s [%s%s] %3.0f %%  %s", what.c_str(),
               std::string(filled, '#').c_str(), std::string(kWidth - filled, '.').c_str(),
               100 * share, left.c_str());
  std::fflush(stderr);
  visible_ = true;
}

void ProgressBar::erase() {
  if (visible_) std::fputs("\r\033[K", stderr);
  visible_ = false;
}

std::string duration(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return concat(whole, " s");
  if (whole < 3600) return concat(whole / 60, " min ", whole % 60, " s");
  return concat(whole / 3600, " h ", whole % 3600 / 60, " min");
}

std::string short_number(double value) {
  if (value < 1000) return print("%.0f", value);
  if (value < 1e5) return print("%.1fk", value / 1e3);
  if (value < 1e6) return print("%.0fk", value / 1e3);
  return print(value < 1e8 ? "%.2fM" : "%.0fM", value / 1e6);
}

int64_t peak_mib(const Backend& backend) {
  return static_cast<int64_t>(backend.peak_bytes() >> 20);
}

}  // namespace farsight
