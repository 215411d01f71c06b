// The names of kernels, also of those that no other file can see: from the program's symbol table.
#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "device.h"

namespace emulator {
namespace {

/// Where the program lies in memory.
uintptr_t load_address() {
  uintptr_t address = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        *static_cast<uintptr_t*>(result) = info->dlpi_addr;
        return 1;  // the first one is the program itself
      },
      &address);
  return address;
}

template <class T>
T structure(const std::string& file, size_t offset) {
  T value{};
  if (offset + sizeof value <= file.size()) std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

std::string symbol(uintptr_t address) {
  std::ifstream program("/proc/self/exe", std::ios::binary);
  const std::string file((std::istreambuf_iterator<char>(program)), {});
  const auto header = structure<ElfW(Ehdr)>(file, 0);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const auto table = structure<ElfW(Shdr)>(file, header.e_shoff + i * sizeof(ElfW(Shdr)));
    if (table.sh_type != SHT_SYMTAB) continue;
    const auto names =
        structure<ElfW(Shdr)>(file, header.e_shoff + table.sh_link * sizeof(ElfW(Shdr)));
    for (size_t offset = 0; offset < table.sh_size; offset += sizeof(ElfW(Sym))) {
      const auto entry = structure<ElfW(Sym)>(file, table.sh_offset + offset);
      const size_t name = names.sh_offset + entry.st_name;
      if ((entry.st_info & 15) == STT_FUNC && entry.st_value == address && name < file.size())
        return file.data() + name;
    }
  }
  return "?";
}

}  // namespace

const char* kernel_name(const void* kernel) {
  static std::string name;
  name = symbol(reinterpret_cast<uintptr_t>(kernel) - load_address());
  int status = 0;
  char* const readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (readable) name = readable;
  std::free(readable);
  return name.c_str();
}

}  // namespace emulator
