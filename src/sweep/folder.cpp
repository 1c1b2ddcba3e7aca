#include "sweep/folder.hpp"

#include <algorithm>
#include <iterator>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/model/weights.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "sweep/extend.hpp"
#include "sweep/stored.hpp"

namespace rvsweep {
namespace {

/// Names what tells the folder's sweep from the one asked for.
[[noreturn]] void refuse_other_sweep(const std::filesystem::path& folder, const SweepFacts& stored,
                                     const SweepFacts& asked) {
  std::string list;
  for (const auto& line : differences(stored, asked)) list += "\n  " + line;
  throw InputError(folder.string(), "holds another sweep" + list,
                   "give another --out, or repeat the command that made it");
}

/// Whether the job `asked` as a whole is what `stored` is, grown or not.
bool is_sweep(const SweepFacts& asked, const SweepFacts& stored) {
  return stored.fingerprint == grown_fingerprint(asked.fingerprint, stored.generations);
}

/// A stored sweep decides what the configuration leaves to `auto`.
std::optional<SweepFacts> stored_facts(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(plan_file(folder))) return std::nullopt;
  return read_sweep_facts(folder);
}

/// Rows of a segment, and how many of them failed.
RowCounts count_rows(const SweepFolder& folder, BundleId bundle) {
  auto rows = read_segment_table(segment_file(folder.path, bundle), SegmentTable::rows,
                                 folder.sweep.row_columns);
  RowCounts counts;
  counts.done = std::ssize(rows.index);
  counts.failed = std::ranges::count(column(rows, columns::status),
                                     static_cast<std::int8_t>(RowStatus::failed));
  return counts;
}

void find_committed(SweepFolder& folder, bool retry_failed) {
  std::vector<DamagedSegment> damaged;
  const auto sound = committed_bundles(folder.path, folder.sweep.segment_fingerprint(), damaged);
  for (const auto& segment : damaged)
    spdlog::warn("{}: {}; its rows are computed again", segment.file.string(), segment.reason);
  set_damaged_segments_aside(damaged);
  folder.committed.assign(folder.plan.bundles.size(), false);
  for (const BundleId bundle : sound) {
    const RowCounts counts = count_rows(folder, bundle);
    if (retry_failed && counts.failed > 0) {
      const auto copy = keep_copy_for_retry(segment_file(folder.path, bundle));
      spdlog::info("bundle {} has {} failed rows and is computed again; {} keeps them",
                   bundle.value, counts.failed, copy.string());
      continue;
    }
    folder.committed.at(static_cast<std::size_t>(bundle.value)) = true;
    folder.rows.done += counts.done;
    folder.rows.failed += counts.failed;
  }
  folder.resumed = folder.rows.done;
}

}  // namespace

SweepFolder open_folder(const ConfigValues& values, const std::filesystem::path& path,
                        const FolderOptions& wanted, int automatic_threads, Launch& launch) {
  SweepFolder folder;
  folder.path = path;
  if (wanted.extend && !std::filesystem::exists(plan_file(path)))
    throw InputError(path.string(), "holds no sweep that could be extended",
                     "start one without --extend");
  // A folder that holds a sweep is locked at once; a new one only when the input is sound.
  if (std::filesystem::exists(plan_file(path))) folder.lock = std::make_unique<FolderLock>(path);
  const auto stored = stored_facts(path);
  const SweepConfig config = parse_sweep_config(values);
  const auto keep = [&](const std::string& written, const std::string& name) {
    return stored && written == "auto" ? attribute(*stored, name) : "";
  };
  SweepSetup setup =
      prepare_sweep(values, keep(config.device, "device_type"), keep(config.dtype, "dtype"));
  launch.device = setup.device;
  launch.dtype = setup.dtype;
  add_experiment(setup, launch);
  launch.threads = config.threads ? *config.threads
                   : stored       ? std::stoi(attribute(*stored, "threads_per_rank"))
                                  : automatic_threads;
  if (!folder.lock) folder.lock = std::make_unique<FolderLock>(path);
  remove_leftover_temporaries(path);
  const Placement placement = place_rank(setup.device, setup.dtype, 0);
  const ArithmeticIdentity identity{setup.device, hardware_name(placement), setup.dtype,
                                    launch.threads};
  // The model's fingerprint takes every weight byte: what differs beside it is told before.
  if (stored && !wanted.extend) {
    const SweepFacts asked =
        sweep_identity(setup, identity, attribute(*stored, "model_fingerprint"));
    if (!is_sweep(asked, *stored)) refuse_other_sweep(path, *stored, asked);
  }
  folder.sweep = sweep_facts(setup, identity, hex(model_fingerprint(setup.weights)));
  const Texts texts = texts_needed(setup.config.readouts);
  // From here on nobody else writes; a sweep that began meanwhile is seen now.
  if (auto now = stored_facts(path)) {
    if (is_sweep(folder.sweep, *now)) {
      folder.sweep = std::move(*now);
      if (!folder.sweep.generations.empty()) {
        setup.plan = {};
        setup.plan = stored_plan(read_plan_file(path), setup.model,
                                 plan_text(setup.config, setup.tokenizer), texts);
      }
    } else if (wanted.extend) {
      setup.plan = extend_sweep(path, setup, folder.sweep);
      write_plan_file(path, folder.sweep, setup.plan);
    } else {
      refuse_other_sweep(path, *now, folder.sweep);
    }
  } else {
    write_plan_file(path, folder.sweep, setup.plan);
  }
  launch.fingerprint = folder.sweep.segment_fingerprint();
  folder.plan = std::move(setup.plan);
  if (texts == Texts::forgotten) folder.plan.texts = {};
  folder.rows.total = std::ssize(folder.plan.rows);
  folder.rows.refused = folder.plan.n_refused();
  find_committed(folder, wanted.retry_failed);
  return folder;
}

}  // namespace rvsweep
