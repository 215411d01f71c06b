// A profile as a table and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/profile.h"
#include "train/machine.h"

namespace farsight {

/// A line for each op and pass, the slowest first: calls, milliseconds, share of the time, speed of
/// its matrix products and of its memory traffic, each also as a share of the machine's peak.
std::string profile_table(const Profile& profile, const Peaks& peaks);

/// [{op, pass, calls, seconds, flops, bytes}, …] in the same order.
nlohmann::json to_json(const Profile& profile);

}  // namespace farsight
