// Which device a command computes on: see device.h.
#include "train/device.h"

#include "core/cpu/threads.h"
#include "core/error.h"

namespace farsight {

void add_device_options(CLI::App& command, DeviceOptions& options) {
  command.add_option("--device", options.name, "cpu, cuda, or auto: a GPU where there is one")
      ->capture_default_str();
  command
      .add_option("--precision", options.precision,
                  "what matrix products round their inputs to: fp32, tf32 or bf16")
      ->capture_default_str();
  command.add_option("--threads", options.threads, "threads of the CPU; 0 = one per processor")
      ->capture_default_str();
}

Backend& use_device(const DeviceOptions& options) {
  const std::map<std::string, Precision> precisions{
      {"fp32", Precision::kFp32}, {"tf32", Precision::kTf32}, {"bf16", Precision::kBf16}};
  const auto precision = precisions.find(options.precision);
  check(precision != precisions.end(), "--precision is fp32, tf32 or bf16, not '",
        options.precision, "'");
  // Before threads are pinned: a driver's own threads run where their maker may.
  Backend& backend = open_backend(options.name);
  backend.set_precision(precision->second);
  use_threads(options.threads);
  return backend;
}

}  // namespace farsight
