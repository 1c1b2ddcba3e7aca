#include "rvsweep/storage/merge.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/phases.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/dimension_scales.hpp"
#include "storage/items_of_bundle.hpp"
#include "storage/plan_layout.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using h5::Chunking;
using h5::Handle;

/// Keeps other merges of the folder out while the result lives, so that a partial one never
/// replaces a full one that ended after it began. Without lock support in the file system, the last
/// to end wins.
Descriptor lock_for_merge(const fs::path& folder) {
  Descriptor lock(folder, O_RDONLY | O_DIRECTORY);
  while (flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  return lock;
}

/// The bundles whose segments are merged.
using Committed = std::map<BundleId, BundleRunFacts>;

/// Items of one kind and the bundles that fill their columns.
struct Table {
  SegmentTable kind;
  const std::vector<ColumnSpec>& columns;
  const std::vector<std::int32_t>& item_bundle;  // in plan order
  std::vector<std::int64_t> index_of;            // in plan order, by number (plan_file.hpp)
};

/// The inverse of `number_of` over n items.
template <class NumberOf>
std::vector<std::int64_t> indices_by_number(std::int64_t n, NumberOf number_of) {
  std::vector<std::int64_t> index_of(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    index_of[static_cast<std::size_t>(number_of(static_cast<std::size_t>(i)))] = i;
  return index_of;
}

/// As many items as fit into memory_bytes; a text or list is taken for 1 KiB.
std::int64_t items_per_block(const std::vector<ColumnSpec>& columns, std::int64_t memory_bytes) {
  std::int64_t item_bytes = 1;
  for (const ColumnSpec& spec : columns)
    item_bytes += item_size(spec) * (spec.type >= ColumnType::utf8 ? 1024 : 8);
  return std::max<std::int64_t>(1, memory_bytes / item_bytes);
}

void copy_item(const ColumnSpec& spec, const ColumnValues& from, std::int64_t from_item,
               ColumnValues& to, std::int64_t to_item) {
  const std::int64_t size = item_size(spec);
  std::visit(
      [&](const auto& source) {
        auto& target = std::get<std::decay_t<decltype(source)>>(to);
        std::copy_n(source.begin() + from_item * size, size, target.begin() + to_item * size);
      },
      from);
}

/// Copies the items of `segment` that lie in [first, end) into the block that starts at `first`.
void copy_segment(const Table& table, const fs::path& segment, std::int64_t first, std::int64_t end,
                  std::vector<Column>& block) {
  const ItemTable computed = read_segment_table(segment, table.kind, table.columns);
  for (std::size_t item = 0; item < computed.index.size(); ++item) {
    const std::int64_t target = table.index_of.at(static_cast<std::size_t>(computed.index[item]));
    if (target < first || target >= end) continue;
    for (std::size_t column = 0; column < block.size(); ++column)
      copy_item(block[column].spec, computed.columns[column].values,
                static_cast<std::int64_t>(item), block[column].values, target - first);
  }
}

/// Rows that no bundle computes end as the plan says; all others are pending until a segment says
/// more. The block starts at row `first`.
void fill_planned_ends(const OpenPlan& plan, std::int64_t first, std::int64_t end,
                       std::vector<Column>& block) {
  const Handle rows = h5::open_group(plan.file, "rows");
  for (const ColumnSpec& spec : {planned_status_column(), planned_reason_column()}) {
    const ColumnValues planned =
        h5::read_items(h5::open_dataset(rows, spec.name), spec, first, end - first);
    const auto column = std::ranges::find_if(
        block, [&](const Column& filled) { return filled.spec.name == spec.name; });
    for (std::int64_t row = first; row < end; ++row)
      if (plan.items.row_bundle[static_cast<std::size_t>(row)] == no_bundle)
        copy_item(spec, planned, row - first, column->values, row - first);
  }
}

/// Fills the columns of one table, block by block in plan order.
void write_computed_columns(const Handle& group, const fs::path& sweep_folder, const OpenPlan& plan,
                            const Table& table, const Committed& committed,
                            std::int64_t memory_bytes) {
  const std::int64_t items = std::ssize(table.item_bundle);
  std::vector<Handle> datasets;
  for (const ColumnSpec& spec : table.columns)
    datasets.push_back(h5::create_column(group, spec, items, Chunking::compressed));
  const std::int64_t step = items_per_block(table.columns, memory_bytes);
  for (std::int64_t first = 0; first < items; first += step) {
    const std::int64_t end = std::min(items, first + step);
    std::vector<Column> block;
    for (const ColumnSpec& spec : table.columns)
      block.push_back({spec, fill_values(spec, end - first)});
    if (table.kind == SegmentTable::rows) fill_planned_ends(plan, first, end, block);
    std::set<std::int32_t> bundles(table.item_bundle.begin() + first,
                                   table.item_bundle.begin() + end);
    for (const std::int32_t bundle : bundles)
      if (committed.contains(BundleId{bundle}))
        copy_segment(table, segment_file(sweep_folder, BundleId{bundle}), first, end, block);
    for (std::size_t column = 0; column < block.size(); ++column)
      h5::write_items(datasets[column], block[column].spec, first, block[column].values);
  }
  for (std::size_t column = 0; column < datasets.size(); ++column)
    datasets[column].close("closing dataset " + table.columns[column].name);
}

void write_root_attributes(const Handle& file, const SweepFacts& facts) {
  h5::write_attribute(file, "sweep_fingerprint", facts.fingerprint);
  for (const auto& [name, text] : facts.attributes) {
    if (name == "tensor_fingerprints") continue;  // for resuming alone
    if (name == "schema_version")
      h5::write_attribute(file, name, std::int64_t{std::stoi(text)});
    else
      h5::write_attribute(file, name, text);
  }
  if (facts.generations.empty()) return;
  // The smaller sweeps that this one extends: their rows keep the bits of the bundles they were in.
  auto list = nlohmann::ordered_json::array();
  for (const auto& generation : facts.generations)
    list.push_back({{"fingerprint", hex(generation.fingerprint)},
                    {"rows", generation.n_rows},
                    {"pairs", generation.pairs.size()}});
  h5::write_attribute(file, "generations", list.dump());
}

void write_phases(const Handle& run, const std::vector<std::vector<double>>& of_ranks) {
  if (of_ranks.empty()) return;
  const Handle phases = h5::ensure_group(run, "phases");
  const ColumnSpec name{"name", ColumnType::utf8, {}, "1", "what a rank was doing", ""};
  h5::write_column(phases, name, phase_names(), Chunking::none);
  const std::int64_t n_phases = std::ssize(phase_names());
  const ColumnSpec seconds{
      "seconds", ColumnType::float64, {n_phases}, "s", "time that each rank spent in it", ""};
  std::vector<double> values;
  for (const auto& of_rank : of_ranks) values.insert(values.end(), of_rank.begin(), of_rank.end());
  h5::write_column(phases, seconds, values, Chunking::none);
}

void write_run_group(const Handle& file, const BundleOfItem& items, const Committed& committed,
                     const MergeOptions& options) {
  const Handle run = h5::ensure_group(file, "run");
  h5::write_attribute(run, "merged", utc_now());
  for (const auto& [name, text] : options.run_facts) h5::write_attribute(run, name, text);
  write_phases(run, options.phase_seconds);
  std::vector<std::int32_t> bundles, ranks;
  std::vector<std::string> hosts, starts;
  std::vector<double> seconds;
  for (const auto& [bundle, facts] : committed) {
    bundles.push_back(bundle.value);
    ranks.push_back(facts.rank);
    hosts.push_back(facts.host);
    starts.push_back(facts.started);
    seconds.push_back(facts.seconds);
  }
  const auto write = [&](const char* name, ColumnType type, const char* units,
                         const char* description, const ColumnValues& values) {
    h5::write_column(run, {name, type, {}, units, description, ""}, values, Chunking::compressed);
  };
  write("bundle", ColumnType::int32, "1", "number of a computed bundle", bundles);
  write("rank", ColumnType::int32, "1", "MPI rank that computed it", ranks);
  write("host", ColumnType::utf8, "1", "machine that computed it", hosts);
  write("started", ColumnType::utf8, "UTC, ISO 8601", "when it was begun", starts);
  write("seconds", ColumnType::float64, "s", "time it took", seconds);
  write("row_bundle", ColumnType::int32, "1", "bundle that computes each row, -1 for none",
        items.row_bundle);
}

void write_results(const Handle& file, const fs::path& sweep_folder, const OpenPlan& plan,
                   const Committed& committed, const MergeOptions& options) {
  const auto& [planned, facts, items] = plan;
  const auto write_computed = [&](const char* group, const Table& table) {
    write_computed_columns(h5::open_group(file, group), sweep_folder, plan, table, committed,
                           options.memory_bytes);
  };
  write_root_attributes(file, facts);
  copy_prompt_table(planned, file);
  write_computed("prompts", {SegmentTable::prompts, facts.prompt_columns, items.prompt_bundle,
                             indices_by_number(items.n_prompts(), [&](std::size_t prompt) {
                               return plan.items.number_of_prompt(prompt);
                             })});
  copy_other_tables(planned, file);
  write_computed("rows", {SegmentTable::rows, facts.row_columns, items.row_bundle,
                          indices_by_number(items.n_rows(), [&](std::size_t row) {
                            return plan.items.number_of_row(row);
                          })});
  write_run_group(file, items, committed, options);
  attach_dimension_scales(file);
}

void count_rows(MergeReport& report) {
  const Handle file = h5::open_file(report.results);
  const auto all =
      h5::read_values<std::int8_t>(h5::open_group(file, "rows"), planned_status_column());
  const auto count = [&](RowStatus status) {
    return std::count(all.begin(), all.end(), static_cast<std::int8_t>(status));
  };
  report.rows_ok = count(RowStatus::ok);
  report.rows_refused = count(RowStatus::refused);
  report.rows_failed = count(RowStatus::failed);
  report.rows_pending = count(RowStatus::pending);
}

/// Bundles whose segments hold what the plan gives to them; the others go into the report.
Committed committed_as_planned(const fs::path& sweep_folder, const OpenPlan& plan,
                               MergeReport& report) {
  const ItemsOfBundle planned(plan.items);
  Committed committed;
  for (SoundSegment& segment :
       sound_segments(sweep_folder, plan.facts.segment_fingerprint(), report.damaged))
    if (const auto problem = items_problem(segment, planned))
      report.damaged.push_back(
          {segment_file(sweep_folder, segment.bundle), segment.bundle, *problem});
    else
      committed.emplace(segment.bundle, std::move(segment.run));
  report.bundles_merged = static_cast<std::int32_t>(committed.size());
  report.bundles_missing = plan.items.n_bundles - report.bundles_merged;
  return committed;
}

void require_all_bundles(const fs::path& sweep_folder, std::int32_t n_bundles,
                         const MergeReport& report) {
  if (report.bundles_missing == 0) return;
  std::string problem =
      fmt::format("{} of {} bundles have no sound segment", report.bundles_missing, n_bundles);
  if (!report.damaged.empty())
    problem += fmt::format("; {} damaged, first {}: {}", report.damaged.size(),
                           report.damaged.front().file.string(), report.damaged.front().reason);
  throw InputError(sweep_folder.string(), problem,
                   "run the sweep again to compute them, or merge with --partial");
}

}  // namespace

MergeReport merge(const fs::path& sweep_folder, const MergeOptions& options) {
  const OpenPlan plan = open_plan(sweep_folder);
  for (const ColumnSpec& needed : {planned_status_column(), planned_reason_column()}) {
    const auto is_it = [&](const ColumnSpec& spec) {
      return spec.name == needed.name && spec.type == needed.type && spec.shape.empty();
    };
    RVSWEEP_EXPECT(std::ranges::any_of(plan.facts.row_columns, is_it),
                   "the columns of /rows include " + needed.name);
  }
  const Descriptor lock = lock_for_merge(segments_folder(sweep_folder));

  MergeReport report;
  report.results = options.into.empty() ? results_file(sweep_folder) : options.into;
  const Committed committed = committed_as_planned(sweep_folder, plan, report);
  if (!options.partial) require_all_bundles(sweep_folder, plan.items.n_bundles, report);
  write_checked_file(report.results, FileKind::results, [&](const Handle& file) {
    write_results(file, sweep_folder, plan, committed, options);
  });
  count_rows(report);
  return report;
}

}  // namespace rvsweep
