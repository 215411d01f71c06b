// The one way in which farsight writes a file: whole, or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>

namespace farsight {

/// Writes a file through a temporary neighbour that is synced and renamed over `path` once it is
/// complete, so that a crash or a full disk leaves the old file as it was. The stream is seekable.
/// A link is followed, an old file's permissions are kept, and what is no regular file (a device, a
/// pipe) is written to as it stands. Creates missing parent folders. Throws Error naming the path
/// and the reason.
void write_file(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);

}  // namespace farsight
