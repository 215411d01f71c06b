// Memory mapping: see mapped_file.h.
#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace farsight {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  bool fine = descriptor >= 0 && fstat(descriptor, &status) == 0;
  if (fine && !S_ISREG(status.st_mode)) {
    fine = false;
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  if (fine && status.st_size > 0) {
    size_ = static_cast<size_t>(status.st_size);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    fine = data_ != MAP_FAILED;
  }
  const int reason = errno;
  if (descriptor >= 0) close(descriptor);
  if (!fine)
    throw std::runtime_error(path.string() + ": cannot be read (" + std::strerror(reason) + ")");
}

MappedFile::~MappedFile() {
  if (data_) munmap(data_, size_);
}

}  // namespace farsight
