// Which device a command computes on, and how.
#pragma once

#include <CLI/CLI.hpp>

#include "core/backend.h"

namespace farsight {

struct DeviceOptions {
  std::string name = "auto";       // cpu, cuda, or auto: a GPU where there is one
  std::string precision = "fp32";  // fp32, tf32 or bf16
  int64_t threads = 0;             // of the CPU; 0 = as many as there are processors
};

/// --device, --precision and --threads.
void add_device_options(CLI::App& command, DeviceOptions& options);

/// The device, ready for work. Throws Error if there is none, or if it cannot compute so.
Backend& use_device(const DeviceOptions& options);

}  // namespace farsight
