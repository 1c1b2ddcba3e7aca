#pragma once
// DIR/journal.jsonl: which rank was given which bundle, one JSON object a line, so that a launch
// knows what the ones before it died of. Segments alone say what is done; the journal counts failed
// attempts, and losing it loses nothing else.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/storage/files.hpp"

namespace rvsweep {

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
  /// Opens the file, or creates it. A last line that a crash cut short is removed; other lines that
  /// are no event are passed over with a warning.
  explicit Journal(const std::filesystem::path& sweep_folder);

  /// A launch begins. Where the one before it died, each rank's first bundle that is not in
  /// `committed` (by bundle) counts as attempted once more: ranks compute in the order of hand-out.
  /// Ranks that were seen alive as the job ended are cleared; where a rank was lost, it alone
  /// counts. Returns all attempts, this sweep's only.
  Attempts begin(std::uint64_t sweep_fingerprint, int ranks, const std::vector<bool>& committed);

  /// On the disk when this returns. Room for the reports to follow is set aside beforehand, so that
  /// a disk that is full by then does not make them fail.
  void handed_out(const std::vector<BundleOfRank>& bundles);
  void done(BundleOfRank bundle);
  void failed(BundleOfRank bundle, const std::string& reason);
  void returned(BundleOfRank bundle);
  /// Its rows are stored as failed: a bundle that is to be computed once more begins anew.
  void set_aside(BundleId bundle, const std::string& reason);
  void seen_alive(int rank);
  void lost(int rank);

 private:
  struct Event;
  void replay(const std::string& text);
  void apply(const Event& event);
  std::vector<BundleId> suspects(const std::vector<bool>& committed) const;
  void append(const std::string& lines);

  std::filesystem::path path_;
  Descriptor file_;
  std::size_t size_ = 0;

  // As the events so far tell it.
  std::string sweep_;
  Attempts attempts_;
  std::map<int, std::vector<BundleId>> held_;  // by rank, in the order of hand-out
  std::vector<int> alive_;                     // seen so as the job ended
  int lost_ = -1;
};

}  // namespace rvsweep
