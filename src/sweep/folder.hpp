#pragma once
// Rank 0's side of a run: the sweep folder, its plan, and what is done already.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "rvsweep/storage/folder_lock.hpp"
#include "rvsweep/storage/journal.hpp"
#include "rvsweep/sweep/identity.hpp"
#include "rvsweep/sweep/launch.hpp"
#include "rvsweep/sweep/progress.hpp"

namespace rvsweep {

struct SweepFolder {
  std::filesystem::path path;
  std::unique_ptr<FolderLock> lock;
  SweepFacts sweep;
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

/// What is wanted beside going on with a folder's sweep.
struct FolderOptions {
  bool extend = false;        // the folder's sweep may lack pairs, samples or arms of this one
  bool retry_failed = false;  // bundles with failed rows are computed again
};

/// Plans the sweep, takes the folder's lock, writes plan.h5 or compares it with the one there, sets
/// damaged segments aside and finds the committed ones. All of it before weights are loaded.
/// Device, dtype and threads that the configuration leaves to `auto` are those of the stored sweep,
/// or `automatic_threads` and what this machine has; they are left in `launch` for all ranks.
/// A segment with failed rows that is to be computed again stays in place until the new one
/// replaces it; a copy is kept as NAME.retried (.retried-2, ...). Throws InputError: all that is
/// wrong with the input, another sweep in the folder (the difference named), nothing there to
/// extend, a folder in use; OutputError: an unwritable folder.
SweepFolder open_folder(const ConfigValues& values, const std::filesystem::path& path,
                        const FolderOptions& wanted, int automatic_threads, Launch& launch);

}  // namespace rvsweep
