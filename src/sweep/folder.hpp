#pragma once
// Rank 0's side of a run: the sweep folder, its plan, and what is done already.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "rvsweep/storage/folder_lock.hpp"
#include "rvsweep/storage/journal.hpp"
#include "rvsweep/sweep/launch.hpp"
#include "rvsweep/sweep/progress.hpp"
#include "rvsweep/sweep/run.hpp"

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

/// Plans the sweep of launch.config, takes the folder's lock, writes plan.h5 or compares it with
/// the one there, sets damaged segments aside and finds the committed ones: all of it before
/// weights are loaded. Completes `launch`: device, dtype and threads that the configuration leaves
/// to `auto` are those of the stored sweep, or `automatic_threads` and what this machine has. A
/// segment with failed rows that is to be computed again stays where it is until the new one
/// replaces it; a copy is kept as NAME.retried (.retried-2, ...). Throws InputError: all that is
/// wrong with the input, another sweep in the folder (the difference named), nothing there to
/// extend, a folder in use; OutputError: an unwritable folder.
SweepFolder open_folder(const RunOptions& options, int automatic_threads, Launch& launch);

}  // namespace rvsweep
