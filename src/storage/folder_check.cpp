#include "rvsweep/storage/folder_check.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <cerrno>
#include <map>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/files.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

std::string type_name(long type) {
  static const std::map<long, std::string> names = {
      {0xEF53, "ext4"},      {0x58465342, "xfs"},     {0x6969, "nfs"},       {0x0BD00BD0, "lustre"},
      {0x01021994, "tmpfs"}, {0x794C7630, "overlay"}, {0x9123683E, "btrfs"}, {0x2FC12FC1, "zfs"},
      {0x47504653, "gpfs"},  {0x19830326, "beegfs"},  {0x00C36400, "ceph"},  {0x65735546, "fuse"},
      {0xFF534D42, "cifs"},  {0x858458F6, "ramfs"},
  };
  const auto found = names.find(type & 0xFFFFFFFF);
  return found == names.end() ? fmt::format("type {:#x}", type) : found->second;
}

std::string try_fsync(const Descriptor& file, const fs::path& folder) {
  try {
    file.sync();
    sync_folder(folder);
  } catch (const OutputError& error) {
    return error.what();
  }
  return "";
}

/// A rename over a file must leave exactly the new one.
std::string try_rename(const fs::path& folder) {
  const TemporaryFile from(folder / "check"), to(folder / "check");
  try {
    Descriptor(from.path(), O_RDWR | O_CREAT).write_at(0, "new");
    Descriptor(to.path(), O_RDWR | O_CREAT).write_at(0, "old one");
    rename_file(from.path(), to.path());
    if (Descriptor(to.path(), O_RDONLY).read_all() != "new" || fs::exists(from.path()))
      return "the old file is still there";
  } catch (const OutputError& error) {
    return error.what();
  }
  return "";
}

std::string try_flock(const Descriptor& first, const Descriptor& second) {
  if (::flock(first.get(), LOCK_EX | LOCK_NB) != 0) return reason_of(errno);
  const bool kept_out = ::flock(second.get(), LOCK_EX | LOCK_NB) != 0;
  ::flock(first.get(), LOCK_UN);
  return kept_out ? "" : "two descriptors got the same lock";
}

/// Locks of open files (F_OFD_SETLK): as fcntl's, but two of one process are told apart.
std::string try_fcntl(const Descriptor& first, const Descriptor& second) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(first.get(), F_OFD_SETLK, &whole) != 0) return reason_of(errno);
  const bool kept_out = ::fcntl(second.get(), F_OFD_SETLK, &whole) != 0;
  return kept_out ? "" : "two descriptors got the same lock";
}

}  // namespace

FolderCheck check_folder(const fs::path& wanted) {
  fs::path folder = fs::absolute(wanted);
  while (!fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  FolderCheck check;
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) == 0) check.file_system = type_name(system.f_type);
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) == 0)
    check.free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  const TemporaryFile scratch(folder / "check");
  const Descriptor first(scratch.path(), O_RDWR | O_CREAT), second(scratch.path(), O_RDWR);
  first.write_at(0, "rvsweep checks this folder");
  check.fsync = try_fsync(first, folder);
  check.rename = try_rename(folder);
  check.flock = try_flock(first, second);
  check.fcntl = try_fcntl(first, second);
  return check;
}

}  // namespace rvsweep
