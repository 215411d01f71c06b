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
  namespace fs = std::filesystem;
  std::error_code reason;
  const fs::path goal = fs::is_symlink(path, reason) ? fs::weakly_canonical(path, reason) : path;
  const fs::path folder = goal.has_parent_path() ? goal.parent_path() : ".";
  fs::create_directories(folder, reason);
  check(!reason, folder.string(), ": cannot create this folder: ", reason.message());
  check(!fs::is_directory(goal), path.string(), ": is a folder; name a file");
  const bool in_place = fs::exists(goal, reason) && !fs::is_regular_file(goal, reason);

  // The process id keeps two programs that write the same file out of each other's way.
  const fs::path temporary = in_place ? goal : fs::path(goal.string() + concat(".tmp", getpid()));
  const auto remove = [&] {
    if (!in_place) unlink(temporary.c_str());
  };
  const auto give_up = [&](const char* what) {
    const std::string why = std::strerror(errno);
    remove();
    fail(path.string(), ": cannot ", what, " (", why, ")",
         in_place ? "" : "; the file is as it was before");
  };
  try {
    errno = 0;
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    if (!stream) give_up("write here");
    write(stream);
    stream.close();
    if (!stream) give_up("write it all");
  } catch (...) {
    remove();
    throw;
  }
  if (in_place) return;
  if (const auto old = fs::status(goal, reason); fs::exists(old))
    fs::permissions(temporary, old.permissions(), reason);
  if (!sync_path(temporary)) give_up("sync it");
  if (std::rename(temporary.c_str(), goal.c_str()) != 0) give_up("replace it");
  sync_path(folder);
}

}  // namespace farsight
