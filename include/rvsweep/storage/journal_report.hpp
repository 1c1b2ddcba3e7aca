#pragma once
// What DIR/journal.jsonl tells of bundles that did not go well, read while others write it.
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

struct JournalEvent;

struct BundleTrouble {
  int attempts = 0;        // that failed, a process that died included
  bool set_aside = false;  // its rows are stored as failed
  std::string reason;      // the latest
};

/// Follows the journal of a folder.
class JournalTroubles {
 public:
  explicit JournalTroubles(const std::filesystem::path& sweep_folder);

  /// Bundles that have failed and were not computed since. Reads the whole lines that were appended
  /// since the last call; a missing or unreadable journal adds nothing.
  const std::map<BundleId, BundleTrouble>& update();

 private:
  void apply(const JournalEvent& event);

  std::filesystem::path file_;
  std::size_t read_ = 0;  // bytes
  std::string sweep_;
  std::map<BundleId, BundleTrouble> troubles_;
};

}  // namespace rvsweep
