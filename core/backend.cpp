// The devices that are linked in: see backend.h.
#include "core/backend.h"

#include "core/error.h"

namespace farsight {
namespace {

std::map<std::string, BackendEntry*>& registry() {
  static std::map<std::string, BackendEntry*> entries;
  return entries;
}

}  // namespace

BackendEntry::BackendEntry(std::string name, Backend& (*open)(), Choice choice)
    : name(std::move(name)), open(open), choice(choice) {
  registry()[this->name] = this;
}

Backend& open_backend(const std::string& device) {
  if (device == "cpu") return cpu_backend();
  if (device == "auto") {
    for (const auto& [name, entry] : registry()) {
      if (entry->choice != BackendEntry::kAutomatic) continue;
      try {
        return entry->open();
      } catch (const Error&) {
        // Not on this machine; whoever asks for it by name is told why.
      }
    }
    return cpu_backend();
  }
  const auto found = registry().find(device);
  check(found != registry().end() || device != "cuda",
        "--device cuda: this program was built without it; install the CUDA toolkit and run make, ",
        "or use --device cpu");
  check(found != registry().end(), "there is no device '", device, "'; use cpu, cuda or auto");
  return found->second->open();
}

}  // namespace farsight
