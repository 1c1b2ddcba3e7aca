#pragma once
// Whether the file system of a folder does what commits and locks rely on.
#include <cstdint>
#include <filesystem>
#include <string>

namespace rvsweep {

struct FolderCheck {
  std::string file_system;       // "ext4", "nfs", ...; the type's number where it has no name here
  std::string fsync, rename;     // what went wrong; empty where it works
  std::string flock, fcntl;      // likewise: a second descriptor must be kept out
  std::uint64_t free_bytes = 0;  // for this user
};

/// Tries it with files of its own, which it removes. `folder` may be missing: then the nearest
/// folder above it is tried. OutputError where nothing can be written there.
FolderCheck check_folder(const std::filesystem::path& folder);

}  // namespace rvsweep
