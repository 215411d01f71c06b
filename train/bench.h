// Speed of whole steps on random tokens.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "nn/position.h"
#include "train/device.h"

namespace farsight {

struct BenchOptions {
  std::string mode = "train";  // train (forward, backward, AdamW) or eval (forward)
  std::string shape = "M";     // S, M or L
  std::string numbers;         // blocks,width,heads,vocabulary,T,B instead of a named shape
  // The first of the alphabet, so that no scheme is named here. The result says which it was.
  std::string position = PositionEntry::all().front()->name;
  int64_t steps = 5;  // timed; one more goes before
  DeviceOptions device;
};

/// Times `steps` steps and returns shape, mode, device, precision, position, tokens_per_second
/// (median), peak_mib and parameters. peak_mib is the process's: in eval mode it holds no gradients
/// and no moments. Throws Error for a mode, shape or precision that does not exist.
nlohmann::json bench(const BenchOptions& options);

}  // namespace farsight
