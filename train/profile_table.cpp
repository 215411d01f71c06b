// Profiles for people and scripts: see profile_table.h.
#include "train/profile_table.h"

#include <algorithm>

#include "train/table.h"

namespace farsight {
namespace {

struct Line {
  std::string op, pass;
  Profile::Entry entry;
};

std::vector<Line> lines_of(const Profile& profile) {
  std::vector<Line> lines;
  for (const auto& [name, op] : profile.ops()) {
    if (op.forward.calls) lines.push_back({name, "forward", op.forward});
    if (op.backward.calls) lines.push_back({name, "backward", op.backward});
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.entry.seconds > b.entry.seconds; });
  return lines;
}

}  // namespace

std::string profile_table(const Profile& profile, const Peaks& peaks) {
  std::vector<std::vector<std::string>> rows{
      {"op", "pass", "calls", "ms", "share", "GFLOP/s", "of peak", "GB/s", "of peak"}};
  const auto percent = [](double share) { return fixed(100 * share, 1) + "%"; };
  for (const auto& [op, pass, entry] : lines_of(profile)) {
    const double flops = entry.flops / entry.seconds, bytes = entry.bytes / entry.seconds;
    rows.push_back({op, pass, std::to_string(entry.calls), fixed(1e3 * entry.seconds, 2),
                    percent(entry.seconds / profile.seconds()),
                    flops > 0 ? fixed(flops / 1e9, 1) : "",
                    flops > 0 ? percent(flops / peaks.flops) : "", fixed(bytes / 1e9, 1),
                    percent(bytes / peaks.bytes)});
  }
  return aligned(rows);
}

nlohmann::json to_json(const Profile& profile) {
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& [op, pass, entry] : lines_of(profile))
    lines.push_back({{"op", op},
                     {"pass", pass},
                     {"calls", entry.calls},
                     {"seconds", entry.seconds},
                     {"flops", entry.flops},
                     {"bytes", entry.bytes}});
  return lines;
}

}  // namespace farsight
