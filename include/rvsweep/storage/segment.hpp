#pragma once
// Segments: the immutable, checksummed files that hold one bundle's results each.
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// Commits a bundle: when this returns, DIR/segments/bundle-NNNNNN.h5 is whole, verified and on the
/// disk. OutputError names file and reason; no new segment is visible then. Threads take turns.
void write_segment(const std::filesystem::path& sweep_folder, std::uint64_t sweep_fingerprint,
                   const BundleResult& result);

enum class SegmentTable { prompts, rows };

/// One table of a sound segment. Columns that it lacks, because the sweep got them by an extension,
/// hold their fill values. InputError when it cannot be read or a column has another type or shape.
ItemTable read_segment_table(const std::filesystem::path& segment, SegmentTable table,
                             const std::vector<ColumnSpec>& columns);

/// The table as read_segment_table gives it back: in texts, U+0000 has become U+2400 and what is
/// not UTF-8 U+FFFD.
ItemTable as_stored(ItemTable table);

/// A segment whose bytes, sweep and bundle have been checked.
struct SoundSegment {
  BundleId bundle;
  std::vector<std::int64_t> prompts, rows;  // the items that it holds, by number
  BundleRunFacts run;
};

/// The file as the segment of its name in this sweep, or what is wrong with it. Reads every byte.
std::variant<SoundSegment, std::string> check_segment(const std::filesystem::path& segment,
                                                      std::uint64_t sweep_fingerprint);

struct DamagedSegment {
  std::filesystem::path file;
  BundleId bundle;
  std::string reason;
};

/// The sound segments of a folder, ascending by bundle; those that cannot be used go to `damaged`
/// (emptied first). Reads every byte of every segment.
std::vector<SoundSegment> sound_segments(const std::filesystem::path& sweep_folder,
                                         std::uint64_t sweep_fingerprint,
                                         std::vector<DamagedSegment>& damaged);
/// The bundles of sound_segments.
std::vector<BundleId> committed_bundles(const std::filesystem::path& sweep_folder,
                                        std::uint64_t sweep_fingerprint,
                                        std::vector<DamagedSegment>& damaged);

/// Renames damaged segments to NAME.damaged (.damaged-2, ...), so that their bundles are computed
/// again; returns the new names. For the holder of the folder's lock.
std::vector<std::filesystem::path> set_damaged_segments_aside(
    const std::vector<DamagedSegment>& damaged);

/// Keeps a segment that is to be computed again as NAME.retried (.retried-2, ...) beside it and
/// returns that name; the segment stays until the new one is renamed over it. OutputError.
std::filesystem::path keep_copy_for_retry(const std::filesystem::path& segment);

}  // namespace rvsweep
