#pragma once
// Segments: the immutable, checksummed files that hold one bundle's results each.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// Commits a bundle: when this returns, DIR/segments/bundle-NNNNNN.h5 is whole, verified and on the
/// disk. OutputError names the file and the reason, and no new segment is visible then.
void write_segment(const std::filesystem::path& sweep_folder, std::uint64_t sweep_fingerprint,
                   const BundleResult& result);

/// Reads a segment whose columns are those that the plan gives. InputError when it is damaged,
/// belongs to another sweep or has other columns.
BundleResult read_segment(const std::filesystem::path& segment, std::uint64_t sweep_fingerprint,
                          const std::vector<ColumnSpec>& prompt_columns,
                          const std::vector<ColumnSpec>& row_columns);

enum class SegmentTable { prompts, rows };

/// One table of a segment that segment_problem has found sound. Columns that it lacks, because the
/// sweep got them by an extension, hold their fill values.
ItemTable read_segment_table(const std::filesystem::path& segment, SegmentTable table,
                             const std::vector<ColumnSpec>& columns);
/// The items that a table holds, by number.
std::vector<std::int64_t> read_segment_index(const std::filesystem::path& segment,
                                             SegmentTable table);
BundleRunFacts read_segment_run_facts(const std::filesystem::path& segment);

/// What is wrong with the file as the segment of its name in this sweep: bytes, sweep, bundle.
std::optional<std::string> segment_problem(const std::filesystem::path& segment,
                                           std::uint64_t sweep_fingerprint);

struct DamagedSegment {
  std::filesystem::path file;
  BundleId bundle;
  std::string reason;
};

/// Bundles with a sound segment, ascending; segments that cannot be used go to `damaged` (emptied
/// first). Reads every byte of every segment.
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
