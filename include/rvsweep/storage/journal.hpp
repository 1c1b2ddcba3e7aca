#pragma once
// DIR/journal.jsonl: which rank was given which bundle, one JSON object a line, so that a launch
// knows what the ones before it died of. Segments alone say what is done; the journal counts failed
// attempts, and losing it loses nothing else.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/ids.hpp"

namespace rvsweep {

struct JournalEvent;

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
  /// `committed` (by bundle) counts as attempted once more: ranks compute in the order of hand-out.
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
  void replay(const std::string& text);
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

}  // namespace rvsweep
