#pragma once
// One run per sweep folder: DIR/lock names the process that works in it.
#include <filesystem>
#include <optional>
#include <string>

#include "rvsweep/core/descriptor.hpp"

namespace rvsweep {

/// Who holds a folder; the content of DIR/lock as JSON.
struct LockHolder {
  std::string host;
  long pid = 0;
  std::string started;  // UTC, ISO 8601
  std::string job;      // SLURM_CLUSTER_NAME/SLURM_JOB_ID; empty outside Slurm
  int restarts = 0;     // SLURM_RESTART_COUNT
};

/// Who holds the folder as its lock file says; none where there is no lock or it names nobody.
std::optional<LockHolder> read_lock_holder(const std::filesystem::path& sweep_folder);

/// Holds DIR/lock (created with O_EXCL and locked with flock) for its lifetime and removes it at
/// the end. Not HDF5's locking, which clusters often switch off.
/// InputError, naming the holder and what to do, when a living process of this host holds the
/// folder or when the lock is of another host, whose processes cannot be asked. The lock of a dead
/// process of this host is taken over with a log message, and so is that of an earlier start of our
/// own Slurm job, on whatever host: Slurm requeues a job only when that start has ended.
/// OutputError when the lock file cannot be written.
class FolderLock {
 public:
  /// Creates the folder where missing.
  explicit FolderLock(const std::filesystem::path& sweep_folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path file_;
  Descriptor held_;
};

}  // namespace rvsweep
