#include "sweep/folder.hpp"

#include <optional>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "sweep/events.hpp"
#include "sweep/extend.hpp"
#include "sweep/stored.hpp"

namespace rvsweep {
namespace {

struct Stored {
  SweepFacts facts;
  SweepIdentity identity;
};

/// The sweep that the folder holds.
std::optional<Stored> find_stored(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(plan_file(folder))) return std::nullopt;
  SweepFacts facts = read_sweep_facts(folder);
  SweepIdentity identity = stored_identity(facts);
  return Stored{std::move(facts), std::move(identity)};
}

/// A folder that holds a sweep is locked at once; a new one only when the input is sound.
std::unique_ptr<FolderLock> lock_stored(const RunOptions& options) {
  const bool holds_sweep = std::filesystem::exists(plan_file(options.out));
  if (options.extend && !holds_sweep)
    throw InputError(options.out.string(), "holds no sweep that could be extended",
                     "start one without --extend");
  return holds_sweep ? std::make_unique<FolderLock>(options.out) : nullptr;
}

/// A stored sweep decides what the configuration leaves to `auto`.
SweepSetup prepare(const std::optional<Stored>& stored, int automatic_threads, Launch& launch) {
  const SweepConfig config = parse_sweep_config(launch.config);
  const SweepIdentity kept = stored ? stored->identity : SweepIdentity{};
  SweepSetup setup = prepare_sweep(launch.config, {config.device == "auto" ? kept.device : "",
                                                   config.dtype == "auto" ? kept.dtype : "",
                                                   static_cast<double>(kept.device_memory)});
  launch.device = setup.target.device;
  launch.dtype = setup.target.dtype;
  launch.threads = config.threads ? *config.threads : stored ? kept.threads : automatic_threads;
  refuse_fewer_threads(launch.threads);
  add_experiment(setup, launch);
  return setup;
}

/// Whether the job `asked` as a whole is what `stored` is, grown or not.
bool is_sweep(const SweepIdentity& asked, const SweepFacts& stored) {
  return stored.fingerprint == grown_fingerprint(fingerprint_of(asked), stored.generations);
}

/// The first tensor of `files` that is not the stored sweep's, or that it is none of them.
std::string other_tensor(const SweepIdentity& stored, const SweepIdentity& asked,
                         const TensorIndex& files) {
  const std::string &was = stored.tensor_fingerprints, &is = asked.tensor_fingerprints;
  if (was.empty() || was.size() != is.size()) return "";
  std::size_t at = 0;
  for (const auto& [name, entry] : files) {
    if (was.compare(at, 8, is, at, 8) != 0) return ": tensor " + name + " is another one";
    at += 8;
  }
  return ": the weights are the same, but not what the folder's JSON files say";
}

/// Names what tells the folder's sweep from the one asked for.
void refuse_other_sweep(const std::filesystem::path& folder, const Stored& stored,
                        const SweepIdentity& asked, const SweepSetup& setup) {
  if (is_sweep(asked, stored.facts)) return;
  std::string list;
  for (const Difference& difference : differences(stored.identity, asked)) {
    list += "\n  " + difference.text();
    if (difference.key == "prompts_fingerprint")
      list += ": " + first_difference(read_plan_file(folder), setup.plan);
    if (difference.key == "model_fingerprint")
      list += other_tensor(stored.identity, asked, setup.weights.files);
  }
  throw InputError(folder.string(), "holds another sweep" + list,
                   "give another --out, or repeat the command that made it");
}

/// Goes on with the folder's plan, extends it or writes the first one. With the lock held nobody
/// else writes: a sweep that began before it was taken is seen now.
void settle_plan(SweepFolder& folder, SweepSetup& setup, const SweepIdentity& identity,
                 bool extend) {
  const Texts texts = texts_needed(setup.config.readouts);
  folder.sweep = facts_of(setup, identity);
  auto stored = find_stored(folder.path);
  if (stored && is_sweep(identity, stored->facts)) {
    folder.sweep = std::move(stored->facts);
    if (!folder.sweep.generations.empty()) {
      setup.plan = {};
      setup.plan = stored_plan(read_plan_file(folder.path), setup.model,
                               plan_text(setup.config, setup.tokenizer), texts);
    }
  } else {
    if (stored && !extend) refuse_other_sweep(folder.path, *stored, identity, setup);
    if (stored) setup.plan = extend_sweep(folder.path, setup, identity, folder.sweep);
    write_plan_file(folder.path, folder.sweep, setup.plan);
  }
  folder.plan = std::move(setup.plan);
  if (texts == Texts::forgotten) folder.plan.texts = {};
  folder.rows.total = std::ssize(folder.plan.rows);
  folder.rows.refused = folder.plan.n_refused();
}

void find_committed(SweepFolder& folder, bool retry_failed) {
  std::vector<DamagedSegment> damaged;
  const auto sound = committed_bundles(folder.path, folder.sweep.segment_fingerprint(), damaged);
  for (const auto& segment : damaged)
    spdlog::warn("{}: {}; its rows are computed again", segment.file.string(), segment.reason);
  set_damaged_segments_aside(damaged);
  folder.committed.assign(folder.plan.bundles.size(), false);
  for (const BundleId bundle : sound) {
    const BundleOutcome counts = outcome_of(read_segment_table(
        segment_file(folder.path, bundle), SegmentTable::rows, folder.sweep.row_columns));
    if (retry_failed && counts.failed > 0) {
      const auto copy = keep_copy_for_retry(segment_file(folder.path, bundle));
      spdlog::info("bundle {} has {} failed rows and is computed again; {} keeps them",
                   bundle.value, counts.failed, copy.string());
      continue;
    }
    folder.committed.at(static_cast<std::size_t>(bundle.value)) = true;
    folder.rows.done += counts.rows;
    folder.rows.failed += counts.failed;
  }
  folder.resumed = folder.rows.done;
}

}  // namespace

SweepFolder open_folder(const RunOptions& options, int automatic_threads, Launch& launch) {
  SweepFolder folder;
  folder.path = options.out;
  folder.lock = lock_stored(options);
  const auto stored = find_stored(options.out);
  SweepSetup setup = prepare(stored, automatic_threads, launch);
  if (!folder.lock) folder.lock = std::make_unique<FolderLock>(options.out);
  remove_leftover_temporaries(options.out);
  SweepIdentity identity = identity_of(setup, launch.threads);
  // The model's fingerprint takes every weight byte: what differs beside it is told before.
  if (stored && !options.extend) {
    identity.model_fingerprint = stored->identity.model_fingerprint;
    refuse_other_sweep(options.out, *stored, identity, setup);
  }
  add_model_fingerprint(setup, identity);
  settle_plan(folder, setup, identity, options.extend);
  launch.fingerprint = folder.sweep.segment_fingerprint();
  find_committed(folder, options.retry_failed);
  return folder;
}

}  // namespace rvsweep
