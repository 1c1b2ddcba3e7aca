#pragma once
// Rank 0's side of a run: the sweep folder, its plan, and what is done already.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "rvsweep/cli/launch.hpp"
#include "rvsweep/cli/progress.hpp"
#include "rvsweep/cli/sweep_setup.hpp"
#include "rvsweep/storage/folder_lock.hpp"
#include "rvsweep/storage/journal.hpp"

namespace rvsweep {

struct SweepFolder {
  std::filesystem::path path;
  std::unique_ptr<FolderLock> lock;
  StaticSweep sweep;
  Plan plan;
  std::unique_ptr<Journal> journal;  // from begin_attempts on
  Attempts attempts;                 // failed ones, before this run
  std::vector<bool> committed;       // by bundle
  RowCounts rows;
  std::int64_t resumed = 0;  // rows done before this run

  bool is_complete() const {
    return std::find(committed.begin(), committed.end(), false) == committed.end();
  }
};

/// Plans the sweep, takes the folder's lock, writes plan.h5 or compares it with the one there, sets
/// damaged segments aside and finds the committed ones. All of it before weights are loaded.
/// Device, dtype and threads that the configuration leaves to `auto` are those of the stored sweep,
/// or `automatic_threads` and what this machine has; they are left in `launch` for all ranks.
/// Throws InputError: all that is wrong with the input, another sweep in the folder (the difference
/// named), a folder in use; OutputError: an unwritable folder.
SweepFolder open_folder(const ConfigValues& values, const std::filesystem::path& path,
                        int automatic_threads, Launch& launch);

}  // namespace rvsweep
