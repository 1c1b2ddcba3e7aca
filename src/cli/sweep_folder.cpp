#include "rvsweep/cli/sweep_folder.hpp"

#include <iterator>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/model/device.hpp"
#include "rvsweep/model/weights.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/layout.hpp"
#include "rvsweep/storage/segment.hpp"

namespace rvsweep {
namespace {

/// The sweep of the folder is the one asked for, or the difference is named.
void check_same_sweep(const std::filesystem::path& folder, const StaticSweep& stored,
                      const StaticSweep& asked) {
  if (stored.fingerprint == asked.fingerprint) return;
  std::string list;
  for (const auto& line : differences(stored, asked)) list += "\n  " + line;
  throw InputError(folder.string(), "holds another sweep" + list,
                   "give another --out, or repeat the command that made it");
}

/// A stored sweep decides what the configuration leaves to `auto`.
std::optional<StaticSweep> stored_sweep(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(plan_file(folder))) return std::nullopt;
  return read_plan_file(folder);
}

void find_committed(SweepFolder& folder) {
  std::vector<DamagedSegment> damaged;
  const auto sound = committed_bundles(folder.path, folder.sweep.fingerprint, damaged);
  for (const auto& segment : damaged)
    spdlog::warn("{}: {}; its rows are computed again", segment.file.string(), segment.reason);
  set_damaged_segments_aside(damaged);
  folder.committed.assign(folder.plan.bundles.size(), false);
  for (const BundleId bundle : sound) {
    folder.committed.at(static_cast<std::size_t>(bundle.value)) = true;
    const auto rows = read_segment_table(segment_file(folder.path, bundle), SegmentTable::rows,
                                         folder.sweep.row_columns);
    folder.rows.done += std::ssize(rows.index);
    for (const Column& column : rows.columns)
      if (column.spec.name == "status")
        for (const auto status : std::get<std::vector<std::int8_t>>(column.values))
          folder.rows.failed += status == static_cast<std::int8_t>(RowStatus::failed);
  }
  folder.resumed = folder.rows.done;
}

}  // namespace

SweepFolder open_folder(const ConfigValues& values, const std::filesystem::path& path,
                        int automatic_threads, Launch& launch) {
  SweepFolder folder;
  folder.path = path;
  // A folder that holds a sweep is locked at once; a new one only when the input is sound.
  if (std::filesystem::exists(plan_file(path))) folder.lock = std::make_unique<FolderLock>(path);
  const auto stored = stored_sweep(path);
  const SweepConfig config = parse_sweep_config(values);
  const auto keep = [&](const std::string& written, const std::string& name) {
    return stored && written == "auto" ? attribute(*stored, name) : "";
  };
  SweepSetup setup =
      prepare_sweep(values, keep(config.device, "device_type"), keep(config.dtype, "dtype"));
  launch.device = setup.device;
  launch.dtype = setup.dtype;
  launch.families = setup.families.text;
  launch.token_sets = setup.token_sets;
  launch.mean_prompts = setup.plan.mean_prompts;
  launch.threads = config.threads ? *config.threads
                   : stored       ? std::stoi(attribute(*stored, "threads_per_rank"))
                                  : automatic_threads;
  if (!folder.lock) folder.lock = std::make_unique<FolderLock>(path);
  remove_leftover_temporaries(path);
  const Placement placement = place_rank(setup.device, setup.dtype, 0);
  const ArithmeticIdentity identity{setup.device, hardware_name(placement), setup.dtype,
                                    launch.threads};
  // The model's fingerprint takes every weight byte: what differs beside it is told before.
  if (stored)
    check_same_sweep(path, *stored,
                     static_sweep(setup, identity, attribute(*stored, "model_fingerprint")));
  folder.sweep =
      static_sweep(setup, identity, hex(model_fingerprint(setup.weights)));
  // From here on nobody else writes; a sweep that began meanwhile is seen now.
  if (const auto now = stored_sweep(path)) {
    check_same_sweep(path, *now, folder.sweep);
    folder.sweep = *now;
  } else {
    write_plan_file(path, folder.sweep);
  }
  launch.fingerprint = folder.sweep.fingerprint;
  folder.plan = std::move(setup.plan);
  folder.rows.total = std::ssize(folder.plan.rows);
  folder.rows.refused = folder.plan.n_refused();
  find_committed(folder);
  return folder;
}

}  // namespace rvsweep
