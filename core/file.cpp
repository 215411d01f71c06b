// Atomic file replacement: write a temporary neighbour, fsync it, rename it, fsync the folder.
#include "core/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"

namespace farsight {
namespace {

/// Flushes a file's or a folder's contents to the device; false with errno set on failure.
bool sync_path(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool synced = fsync(descriptor) == 0;
  const int reason = errno;
  close(descriptor);
  errno = reason;
  return synced;
}

}  // namespace

void write_file(const std::filesystem::path& path,
                const std::function<void(std::ostream&)>& write) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code reason;
  std::filesystem::create_directories(folder, reason);
  check(!reason, folder.string(), ": cannot create this folder: ", reason.message());

  // The process id keeps two programs that write the same file out of each other's way.
  const std::filesystem::path temporary = path.string() + concat(".tmp", getpid());
  const auto give_up = [&](const char* what) {
    const std::string why = std::strerror(errno);
    unlink(temporary.c_str());
    fail(path.string(), ": cannot ", what, " (", why, "); the file is as it was before");
  };
  try {
    errno = 0;
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    if (!stream) give_up("write here");
    write(stream);
    stream.close();
    if (!stream) give_up("write it all");
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  if (!sync_path(temporary)) give_up("sync it");
  if (std::rename(temporary.c_str(), path.c_str()) != 0) give_up("replace it");
  sync_path(folder);
}

}  // namespace farsight
