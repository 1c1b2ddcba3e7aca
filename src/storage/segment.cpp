#include "rvsweep/storage/segment.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using h5::Handle;
using h5::Layout;

// Beside the columns of a table, so that no column of the plan can take its name.
const ColumnSpec index_column = {
    "index", ColumnType::int64, {}, "1", "number of the item in the plan", ""};

const char* group_of(SegmentTable table) {
  return table == SegmentTable::prompts ? "prompts" : "rows";
}

void write_table(const Handle& file, SegmentTable kind, const ItemTable& table) {
  const Handle group = h5::ensure_group(file, group_of(kind));
  h5::write_column(group, index_column, table.index, Layout::plain);
  const Handle columns = h5::ensure_group(group, "columns");
  for (const Column& column : table.columns) {
    RVSWEEP_EXPECT(
        h5::fits(column.spec, static_cast<std::int64_t>(table.index.size()), column.values),
        "column " + column.spec.name + " has a value for every item");
    h5::write_column(columns, column.spec, column.values, Layout::plain);
  }
}

std::vector<std::int64_t> read_index(const Handle& group) {
  return std::get<std::vector<std::int64_t>>(h5::read_column(group, index_column));
}

/// What becomes of a column that the segment lacks.
enum class Lacking { is_an_error, gets_fill_values };

ItemTable read_table(const Handle& file, SegmentTable kind, const std::vector<ColumnSpec>& columns,
                     Lacking lacking) {
  const Handle group = h5::open_group(file, group_of(kind));
  ItemTable table{read_index(group), {}};
  const Handle stored = h5::open_group(group, "columns");
  for (const ColumnSpec& spec : columns) {
    if (lacking == Lacking::gets_fill_values && !h5::has_dataset(stored, spec.name)) {
      table.columns.push_back({spec, fill_values(spec, std::ssize(table.index))});
      continue;
    }
    table.columns.push_back({spec, h5::read_column(stored, spec)});
    if (!h5::fits(spec, static_cast<std::int64_t>(table.index.size()),
                  table.columns.back().values)) {
      throw h5::Error("column " + spec.name + " does not have a value for every item");
    }
  }
  return table;
}

BundleRunFacts read_run_facts(const Handle& file) {
  const Handle run = h5::open_group(file, "run");
  BundleRunFacts facts;
  facts.rank = static_cast<int>(h5::read_int_attribute(run, "rank"));
  facts.host = h5::read_text_attribute(run, "host");
  facts.started = h5::read_text_attribute(run, "started");
  facts.seconds = h5::read_double_attribute(run, "seconds");
  return facts;
}

/// FILE<suffix>, or FILE<suffix>-2, -3, ... where that is taken.
fs::path free_name(const fs::path& file, const std::string& suffix) {
  fs::path name = file;
  name += suffix;
  for (int copy = 2; fs::exists(name); ++copy) {
    name = file;
    name += suffix + "-" + std::to_string(copy);
  }
  return name;
}

/// Runs `read` on the open segment and gives HDF5's complaints the file's name.
template <class Read>
auto read_from(const fs::path& segment, Read read) {
  try {
    return read(h5::open_file(segment));
  } catch (const h5::Error& error) {
    throw InputError(segment.string(), error.what(), "run `rvsweep verify` on the sweep folder");
  }
}
}  // namespace

void write_segment(const fs::path& sweep_folder, std::uint64_t sweep_fingerprint,
                   const BundleResult& result) {
  write_checked_file(segment_file(sweep_folder, result.bundle), FileKind::segment,
                     [&](const Handle& file) {
                       h5::write_attribute(file, "sweep_fingerprint", sweep_fingerprint);
                       h5::write_attribute(file, "bundle", std::int64_t{result.bundle.value});
                       write_table(file, SegmentTable::prompts, result.prompts);
                       write_table(file, SegmentTable::rows, result.rows);
                       const Handle run = h5::ensure_group(file, "run");
                       h5::write_attribute(run, "rank", std::int64_t{result.run.rank});
                       h5::write_attribute(run, "host", result.run.host);
                       h5::write_attribute(run, "started", result.run.started);
                       h5::write_attribute(run, "seconds", result.run.seconds);
                     });
}

BundleResult read_segment(const fs::path& segment, std::uint64_t sweep_fingerprint,
                          const std::vector<ColumnSpec>& prompt_columns,
                          const std::vector<ColumnSpec>& row_columns) {
  if (const auto problem = segment_problem(segment, sweep_fingerprint)) {
    throw InputError(segment.string(), *problem, "run the sweep again to compute it anew");
  }
  return read_from(segment, [&](const Handle& file) {
    return BundleResult{
        *bundle_of_segment_name(segment.filename().string()),
        read_table(file, SegmentTable::prompts, prompt_columns, Lacking::is_an_error),
        read_table(file, SegmentTable::rows, row_columns, Lacking::is_an_error),
        read_run_facts(file)};
  });
}

ItemTable read_segment_table(const fs::path& segment, SegmentTable table,
                             const std::vector<ColumnSpec>& columns) {
  return read_from(segment, [&](const Handle& file) {
    return read_table(file, table, columns, Lacking::gets_fill_values);
  });
}

std::vector<std::int64_t> read_segment_index(const fs::path& segment, SegmentTable table) {
  return read_from(segment, [&](const Handle& file) {
    return read_index(h5::open_group(file, group_of(table)));
  });
}

BundleRunFacts read_segment_run_facts(const fs::path& segment) {
  return read_from(segment, [](const Handle& file) { return read_run_facts(file); });
}

std::optional<std::string> segment_problem(const fs::path& segment,
                                           std::uint64_t sweep_fingerprint) {
  const auto named = bundle_of_segment_name(segment.filename().string());
  if (!named) return "its name is not that of a segment";
  if (auto problem = verify_checked_file(segment, FileKind::segment)) return problem;
  try {
    const Handle file = h5::open_file(segment);
    const std::uint64_t fingerprint = h5::read_uint_attribute(file, "sweep_fingerprint");
    if (fingerprint != sweep_fingerprint) {
      return "it belongs to another sweep (fingerprint " + hex(fingerprint) + ", not " +
             hex(sweep_fingerprint) + ")";
    }
    const std::int64_t bundle = h5::read_int_attribute(file, "bundle");
    if (bundle != named->value) return "it holds bundle " + std::to_string(bundle);
  } catch (const h5::Error& error) {
    return error.what();
  }
  return std::nullopt;
}

std::vector<BundleId> committed_bundles(const fs::path& sweep_folder,
                                        std::uint64_t sweep_fingerprint,
                                        std::vector<DamagedSegment>& damaged) {
  std::vector<BundleId> committed;
  damaged.clear();
  for (const fs::path& file : list_folder(segments_folder(sweep_folder))) {
    const auto bundle = bundle_of_segment_name(file.filename().string());
    if (!bundle) continue;
    if (auto problem = segment_problem(file, sweep_fingerprint)) {
      damaged.push_back({file, *bundle, *problem});
    } else {
      committed.push_back(*bundle);
    }
  }
  std::sort(committed.begin(), committed.end());
  return committed;
}

fs::path keep_copy_for_retry(const fs::path& segment) {
  const fs::path copy = free_name(segment, ".retried");
  std::error_code error;
  fs::create_hard_link(segment, copy, error);
  if (error) fs::copy_file(segment, copy, error);  // a file system without hard links
  if (error) {
    throw OutputError(copy.string(), "cannot be written (" + error.message() + ")",
                      "check the free space and permissions of that folder");
  }
  return copy;
}

std::vector<fs::path> set_damaged_segments_aside(const std::vector<DamagedSegment>& damaged) {
  std::vector<fs::path> aside;
  for (const DamagedSegment& segment : damaged) {
    const fs::path target = free_name(segment.file, ".damaged");
    rename_file(segment.file, target);
    aside.push_back(target);
  }
  return aside;
}

}  // namespace rvsweep
