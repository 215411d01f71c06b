// The registry of extensions: see extension.h.
#include "nn/extension.h"

#include <map>

#include "core/error.h"

namespace farsight {
namespace {

std::map<std::string, const ExtensionEntry*>& registry() {
  static std::map<std::string, const ExtensionEntry*> entries;
  return entries;
}

}  // namespace

ExtensionEntry::ExtensionEntry(std::string name, std::string description, Acts acts,
                               MakeExtension make)
    : name(std::move(name)), description(std::move(description)), acts(acts), make(make) {
  if (!registry().emplace(this->name, this).second) fail("two extensions are called ", this->name);
}

std::vector<const ExtensionEntry*> ExtensionEntry::all() {
  std::vector<const ExtensionEntry*> entries;
  for (const auto& [name, entry] : registry()) entries.push_back(entry);
  return entries;
}

const ExtensionEntry& ExtensionEntry::of(const std::string& name) {
  const auto found = registry().find(name);
  if (found != registry().end()) return *found->second;
  std::string known;
  for (const auto& [other, entry] : registry()) known += (known.empty() ? "" : ", ") + other;
  fail("there is no extension '", name, "'; known are: ", known);
}

}  // namespace farsight
