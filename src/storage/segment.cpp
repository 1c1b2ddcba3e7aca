#include "rvsweep/storage/segment.hpp"

#include <algorithm>
#include <mutex>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using h5::Chunking;
using h5::Handle;

// Beside the columns of a table, so that no column of the plan can take its name.
const ColumnSpec index_column = {
    "index", ColumnType::int64, {}, "1", "number of the item in the plan", ""};

const char* group_of(SegmentTable table) {
  return table == SegmentTable::prompts ? "prompts" : "rows";
}

void write_table(const Handle& file, SegmentTable kind, const ItemTable& table) {
  const Handle group = h5::ensure_group(file, group_of(kind));
  h5::write_column(group, index_column, table.index, Chunking::none);
  const Handle columns = h5::ensure_group(group, "columns");
  for (const Column& column : table.columns) {
    RVSWEEP_EXPECT(h5::fits(column.spec, std::ssize(table.index), column.values),
                   "column " + column.spec.name + " has a value for every item");
    h5::write_column(columns, column.spec, column.values, Chunking::none);
  }
}

std::vector<std::int64_t> read_index(const Handle& file, SegmentTable table) {
  return h5::read_values<std::int64_t>(h5::open_group(file, group_of(table)), index_column);
}

/// A column as stored, where arms had fewer patches before an extension: those are filled up.
ColumnValues read_grown(const Handle& stored, const ColumnSpec& spec, std::int64_t items) {
  const bool grows = spec.name == columns::patch_cells_changed.name ||
                     spec.name == columns::patch_change_norm.name;
  const auto extents = h5::extents_of(h5::open_dataset(stored, spec.name));
  if (!grows || extents.size() != 2 || static_cast<std::int64_t>(extents[1]) >= spec.shape.at(0))
    return h5::read_column(stored, spec);
  const auto were = static_cast<std::int64_t>(extents[1]), are = spec.shape[0];
  ColumnSpec narrow = spec;
  narrow.shape = {were};
  const ColumnValues read = h5::read_column(stored, narrow);
  ColumnValues values = fill_values(spec, items);
  std::visit(
      [&](auto& wide) {
        const auto& of_row = std::get<std::decay_t<decltype(wide)>>(read);
        for (std::int64_t r = 0; r < std::min<std::int64_t>(items, std::ssize(of_row) / were); ++r)
          std::copy_n(of_row.begin() + r * were, were, wide.begin() + r * are);
      },
      values);
  return values;
}

ItemTable read_table(const Handle& file, SegmentTable kind,
                     const std::vector<ColumnSpec>& columns) {
  ItemTable table{read_index(file, kind), {}};
  const Handle stored = h5::open_group(h5::open_group(file, group_of(kind)), "columns");
  for (const ColumnSpec& spec : columns) {
    const std::int64_t items = std::ssize(table.index);
    table.columns.push_back({spec, h5::has_dataset(stored, spec.name)
                                       ? read_grown(stored, spec, items)
                                       : fill_values(spec, items)});
    if (!h5::fits(spec, items, table.columns.back().values))
      throw h5::Error("column " + spec.name + " does not have a value for every item");
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
  const std::string first = file.string() + suffix;
  fs::path name = first;
  for (int copy = 2; fs::exists(name); ++copy) name = first + "-" + std::to_string(copy);
  return name;
}

}  // namespace

void write_segment(const fs::path& sweep_folder, std::uint64_t sweep_fingerprint,
                   const BundleResult& result) {
  static std::mutex in_hdf5;  // which may be built without locks of its own
  const std::scoped_lock lock(in_hdf5);
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

ItemTable read_segment_table(const fs::path& segment, SegmentTable table,
                             const std::vector<ColumnSpec>& columns) {
  try {
    return read_table(h5::open_file(segment), table, columns);
  } catch (const h5::Error& error) {
    throw InputError(segment.string(), error.what(), "run `rvsweep verify` on the sweep folder");
  }
}

ItemTable as_stored(ItemTable table) {
  for (Column& column : table.columns)
    if (auto* texts = std::get_if<std::vector<std::string>>(&column.values))
      for (std::string& text : *texts) text = h5::storable_text(text);
  return table;
}

std::variant<SoundSegment, std::string> check_segment(const fs::path& segment,
                                                      std::uint64_t sweep_fingerprint) {
  const auto named = bundle_of_segment_name(segment.filename().string());
  if (!named) return "its name is not that of a segment";
  if (const auto problem = digest_problem(segment, FileKind::segment)) return *problem;
  try {
    const Handle file = h5::open_file(segment);
    const std::uint64_t fingerprint = h5::read_uint_attribute(file, "sweep_fingerprint");
    if (fingerprint != sweep_fingerprint)
      return "it belongs to another sweep (fingerprint " + hex(fingerprint) + ", not " +
             hex(sweep_fingerprint) + ")";
    const std::int64_t bundle = h5::read_int_attribute(file, "bundle");
    if (bundle != named->value) return "it holds bundle " + std::to_string(bundle);
    return SoundSegment{*named, read_index(file, SegmentTable::prompts),
                        read_index(file, SegmentTable::rows), read_run_facts(file)};
  } catch (const h5::Error& error) {
    return error.what();
  }
}

std::vector<SoundSegment> sound_segments(const fs::path& sweep_folder,
                                         std::uint64_t sweep_fingerprint,
                                         std::vector<DamagedSegment>& damaged) {
  std::vector<SoundSegment> sound;
  damaged.clear();
  for (const fs::path& file : list_folder(segments_folder(sweep_folder))) {
    const auto bundle = bundle_of_segment_name(file.filename().string());
    if (!bundle) continue;
    auto checked = check_segment(file, sweep_fingerprint);
    if (const auto* problem = std::get_if<std::string>(&checked))
      damaged.push_back({file, *bundle, *problem});
    else
      sound.push_back(std::get<SoundSegment>(std::move(checked)));
  }
  std::ranges::sort(sound, {}, &SoundSegment::bundle);
  return sound;
}

std::vector<BundleId> committed_bundles(const fs::path& sweep_folder,
                                        std::uint64_t sweep_fingerprint,
                                        std::vector<DamagedSegment>& damaged) {
  std::vector<BundleId> committed;
  for (const SoundSegment& segment : sound_segments(sweep_folder, sweep_fingerprint, damaged))
    committed.push_back(segment.bundle);
  return committed;
}

fs::path keep_copy_for_retry(const fs::path& segment) {
  const fs::path copy = free_name(segment, ".retried");
  std::error_code error;
  fs::create_hard_link(segment, copy, error);
  if (error) fs::copy_file(segment, copy, error);  // a file system without hard links
  if (error)
    throw OutputError(copy.string(), "cannot be written (" + error.message() + ")",
                      "check the free space and permissions of that folder");
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
