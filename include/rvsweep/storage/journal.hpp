#pragma once
// DIR/journal.jsonl: which rank was given which bundle, one JSON object a line, so that a launch
// knows what the ones before it died of. Segments alone say what is done; the journal counts failed
// attempts, and losing it loses nothing else.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// A line of the journal. Members that the event lacks have these defaults.
struct JournalEvent {
  std::string event;  // launch, handed_out, done, failed, returned, set_aside, seen_alive or lost
  std::string sweep;  // launch: fingerprint
  std::int32_t bundle = -1;  // handed_out to set_aside
  int rank = -1;
  std::string reason;                   // failed, set_aside
  std::vector<std::int32_t> died_in{};  // launch: bundles that the launch before it is blamed on
};

/// The event of a line; none where the line is no event.
std::optional<JournalEvent> parse_journal_event(const std::string& line);

struct BundleOfRank {
  BundleId bundle;
  int rank = 0;
};

/// Failed attempts at bundles that are neither computed nor set aside since.
using Attempts = std::map<BundleId, int>;

/// Written by the holder of the folder's lock. Every function throws OutputError where the file
/// cannot be written.
class Journal {
 public:
  /// Opens or creates the file. A last line that a crash cut short is removed; other lines that are
  /// no event are skipped with a warning.
  explicit Journal(const std::filesystem::path& sweep_folder);

  /// A launch begins. Where the one before it died, each rank's first bundle that is not in
  /// `committed` (by bundle) counts as attempted once more: ranks commit in the order of hand-out.
  /// Ranks that were seen alive as the job ended are not blamed; where a rank was lost, it alone
  /// is. Returns the attempts of this sweep.
  Attempts begin(std::uint64_t sweep_fingerprint, int ranks, const std::vector<bool>& committed);

  /// On the disk when this returns. Reserves the bytes of the reports to follow, which then succeed
  /// on a full disk too.
  void handed_out(const std::vector<BundleOfRank>& bundles);
  void done(BundleOfRank bundle);
  void failed(BundleOfRank bundle, const std::string& reason);
  void returned(BundleOfRank bundle);
  /// Its rows are stored as failed: a bundle that is to be computed once more begins anew.
  void set_aside(BundleId bundle, const std::string& reason);
  void seen_alive(int rank);
  void lost(int rank);

 private:
  void apply(const JournalEvent& event);
  std::vector<BundleId> suspects(const std::vector<bool>& committed) const;
  void append(const std::string& lines);

  Descriptor file_;
  std::size_t size_ = 0;  // bytes

  // What the events so far add up to.
  std::string sweep_;
  Attempts attempts_;
  std::map<int, std::vector<BundleId>> held_;  // by rank, in the order of hand-out
  std::vector<int> alive_;                     // seen so as the job ended
  int lost_ = -1;                              // the rank; -1: none
};

struct BundleTrouble {
  int attempts = 0;        // that failed, a process that died included
  bool set_aside = false;  // its rows are stored as failed
  std::string reason;      // the latest
};

/// Bundles that did not go well, read while others write the journal.
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
