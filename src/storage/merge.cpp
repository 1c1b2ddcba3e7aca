#include "rvsweep/storage/merge.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/phases.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/items_of_bundle.hpp"
#include "storage/plan_layout.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using h5::Chunking;
using h5::Handle;

/// Keeps other merges of the folder out, so that a partial one never replaces a full one that ended
/// after it began. Without lock support in the file system, the last to end wins.
class MergeLock {
 public:
  explicit MergeLock(const fs::path& folder) : folder_(folder, O_RDONLY | O_DIRECTORY) {
    while (flock(folder_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }

 private:
  Descriptor folder_;
};

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

/// Fills in what the plan knows of items without a result; `first` is the block's first item.
using Overlay = std::function<void(std::int64_t first, std::vector<Column>& block)>;

/// As many items as fit into memory_bytes; a text is taken for 1 KiB.
std::int64_t items_per_block(const std::vector<ColumnSpec>& columns, std::int64_t memory_bytes) {
  std::int64_t item_bytes = 1;
  for (const ColumnSpec& spec : columns)
    item_bytes += item_size(spec) * (spec.type == ColumnType::utf8 ? 1024 : 8);
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

/// Fills the columns of one table, block by block in plan order.
void write_computed_columns(const Handle& group, const fs::path& sweep_folder, const Table& table,
                            const Committed& committed, const Overlay& overlay,
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
    overlay(first, block);
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

/// Rows that no bundle computes end as the plan says; all others are pending until a segment
/// says more.
Overlay planned_ends(const OpenPlan& plan) {
  return [&plan](std::int64_t first, std::vector<Column>& block) {
    const Handle rows = h5::open_group(plan.file, "rows");
    for (Column& column : block) {
      const bool is_status = column.spec.name == columns::status.name;
      if (!is_status && column.spec.name != columns::reason.name) continue;
      const std::int64_t items =
          std::visit([](const auto& values) { return std::ssize(values); }, column.values);
      const ColumnSpec spec = is_status ? planned_status_column() : planned_reason_column();
      const ColumnValues planned =
          h5::read_items(h5::open_dataset(rows, spec.name), spec, first, items);
      for (std::int64_t item = 0; item < items; ++item)
        if (plan.items.row_bundle[static_cast<std::size_t>(first + item)] == no_bundle)
          copy_item(spec, planned, item, column.values, item);
    }
  };
}

const ColumnSpec& column_named(const std::vector<ColumnSpec>& columns, const std::string& name,
                               ColumnType type) {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const ColumnSpec& spec) {
    return spec.name == name && spec.type == type && spec.shape.empty();
  });
  RVSWEEP_EXPECT(found != columns.end(), "the columns of /rows include " + name);
  return *found;
}

void write_root_attributes(const Handle& file, const SweepFacts& facts) {
  h5::write_attribute(file, "sweep_fingerprint", facts.fingerprint);
  for (const auto& [name, text] : facts.attributes)
    if (name == "schema_version")
      h5::write_attribute(file, name, std::int64_t{std::stoi(text)});
    else
      h5::write_attribute(file, name, text);
}

/// The smaller sweeps that this one extends: their rows keep the bits of the bundles they were in.
void write_generations(const Handle& file, const SweepFacts& facts) {
  if (facts.generations.empty()) return;
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
  const ColumnSpec seconds{"seconds",
                           ColumnType::float64,
                           {std::ssize(phase_names())},
                           "s",
                           "time that each rank spent in it",
                           ""};
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
  write_root_attributes(file, facts);
  write_generations(file, facts);
  copy_prompt_table(planned, file);
  write_computed_columns(
      h5::open_group(file, "prompts"), sweep_folder,
      {SegmentTable::prompts, facts.prompt_columns, items.prompt_bundle,
       indices_by_number(items.n_prompts(),
                         [&](std::size_t p) { return plan.items.number_of_prompt(p); })},
      committed, [](std::int64_t, std::vector<Column>&) {}, options.memory_bytes);
  copy_pair_and_arm_tables(planned, file);
  copy_row_table(planned, file);
  write_computed_columns(
      h5::open_group(file, "rows"), sweep_folder,
      {SegmentTable::rows, facts.row_columns, items.row_bundle,
       indices_by_number(items.n_rows(),
                         [&](std::size_t r) { return plan.items.number_of_row(r); })},
      committed, planned_ends(plan), options.memory_bytes);
  write_run_group(file, items, committed, options);
}

void count_rows(const fs::path& results, const ColumnSpec& status_column, MergeReport& report) {
  const Handle file = h5::open_file(results);
  const ColumnValues values = h5::read_column(h5::open_group(file, "rows"), status_column);
  for (std::int8_t status : std::get<std::vector<std::int8_t>>(values)) {
    switch (static_cast<RowStatus>(status)) {
      case RowStatus::ok:
        ++report.rows_ok;
        break;
      case RowStatus::refused:
        ++report.rows_refused;
        break;
      case RowStatus::failed:
        ++report.rows_failed;
        break;
      case RowStatus::pending:
        ++report.rows_pending;
        break;
    }
  }
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
  std::string problem = std::to_string(report.bundles_missing) + " of " +
                        std::to_string(n_bundles) + " bundles have no sound segment";
  if (!report.damaged.empty()) {
    const DamagedSegment& first = report.damaged.front();
    problem += "; " + std::to_string(report.damaged.size()) + " damaged, first " +
               first.file.string() + ": " + first.reason;
  }
  throw InputError(sweep_folder.string(), problem,
                   "run the sweep again to compute them, or merge with --partial");
}

}  // namespace

MergeReport merge(const fs::path& sweep_folder, const MergeOptions& options) {
  const OpenPlan plan = open_plan(sweep_folder);
  const ColumnSpec& status =
      column_named(plan.facts.row_columns, columns::status.name, ColumnType::status);
  column_named(plan.facts.row_columns, columns::reason.name, ColumnType::utf8);
  const MergeLock lock(segments_folder(sweep_folder));

  MergeReport report;
  report.results = results_file(sweep_folder);
  const Committed committed = committed_as_planned(sweep_folder, plan, report);
  if (!options.partial) require_all_bundles(sweep_folder, plan.items.n_bundles, report);
  write_checked_file(report.results, FileKind::results, [&](const Handle& file) {
    write_results(file, sweep_folder, plan, committed, options);
  });
  count_rows(report.results, status, report);
  return report;
}

}  // namespace rvsweep
