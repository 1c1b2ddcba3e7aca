#include "rvsweep/sweep/run.hpp"

#include <malloc.h>

#include <nlohmann/json.hpp>

#include "rvsweep/comm/root_work.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/merge.hpp"
#include "rvsweep/storage/status_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "sweep/compute.hpp"
#include "sweep/device_check.hpp"
#include "sweep/events.hpp"

namespace rvsweep {
namespace {

/// Rank 0 opens the folder and every rank learns what to do, or that nothing is to be done.
Launch launch_sweep(const World& world, const RunOptions& options,
                    std::optional<SweepFolder>& folder) {
  Communicator& communicator = world.communicator();
  const int threads = automatic_threads(communicator, world.node());
  Launch launch;
  root_works(communicator, options.rank_timeout, [&] {
    try {
      launch.config = read_config(options.config_files, options.sets);
      folder = open_folder(options, threads, launch);
      malloc_trim(0);  // opening takes more than the sweep's plan, which stays
      start_log(0, communicator.size(), log_file(options.out).string());
      begin_attempts(*folder, communicator.size(), options.max_attempts);
      launch.work_left = !folder->is_complete();
    } catch (const InputError& error) {  // an unwritable folder too: nothing has begun
      launch.refusal = error.what();
    }
  });
  return share_launch(communicator, launch);
}

/// Seconds by phase of every rank. Collective.
std::vector<std::vector<double>> gather_phases(Communicator& communicator,
                                               const PhaseClock& phases) {
  std::vector<std::vector<double>> of_ranks;
  for (const auto& text : communicator.all_gather(nlohmann::json(phases.seconds()).dump()))
    of_ranks.push_back(nlohmann::json::parse(text).get<std::vector<double>>());
  return of_ranks;
}

/// Merges what is there and says how the run ended. `self_check`: of the devices, empty for none.
RunEnd finish(SweepFolder& folder, const Launch& launch, const WorkOutcome& outcome,
              const Snapshot& latest, const std::vector<std::string>& hosts,
              const std::vector<std::vector<double>>& phase_seconds,
              const std::string& self_check) {
  show_progress("");
  write_status(folder.path, status_json(outcome.left() == 0 ? "finished" : "stopped", folder.rows,
                                        folder.resumed, latest, hosts));
  if (outcome.output_error) {
    spdlog::error("{}", *outcome.output_error);
    return {exit_output_error, {}};
  }
  if (outcome.device_error) {
    spdlog::error("ended with {} rows left: {}", folder.rows.left(), *outcome.device_error);
    return {exit_device_error, {}};
  }
  if (outcome.stopped_early) {
    spdlog::info("stopped early with {} rows left: run the same command again to go on",
                 folder.rows.left());
    return {exit_stopped_early, {}};
  }
  MergeOptions options;
  options.run_facts = {{"ranks", std::to_string(hosts.size())}, {"finished", utc_now()}};
  if (launch.device == "cuda") options.run_facts["gpu_driver"] = gpu_driver();
  if (!self_check.empty()) options.run_facts["self_check"] = self_check;
  options.phase_seconds = phase_seconds;
  const MergeReport report = merge(folder.path, options);
  const double speed = rows_per_second(folder.rows, folder.resumed, latest.seconds);
  spdlog::info("{} rows ok, {} refused, {} failed{}", report.rows_ok, report.rows_refused,
               report.rows_failed,
               launch.work_left
                   ? fmt::format(" in {} ({:.1f} rows/s)", clock_text(latest.seconds), speed)
                   : "; none was left to compute");
  const bool failed = report.rows_failed > 0 || outcome.failed > 0;
  return {failed ? exit_failed_rows : exit_done, report.results};
}

}  // namespace

RunEnd run_sweep(World& world, const RunOptions& options) {
  Communicator& communicator = world.communicator();
  const bool is_root = communicator.rank() == 0;
  world.set_patience(options.rank_timeout);
  const auto hosts = communicator.all_gather(world.node().host);
  std::optional<SweepFolder> folder;  // rank 0 only
  PhaseClock phases;
  std::optional<PhaseTimer> planning(std::in_place, &phases,
                                     is_root ? Phase::tokenise : Phase::wait);
  const Launch launch = launch_sweep(world, options, folder);
  planning.reset();
  if (!launch.refusal.empty()) {
    if (is_root) spdlog::error("{}", launch.refusal);
    return {is_root ? exit_bad_input : exit_done, {}};
  }
  Snapshot latest;
  WorkEvents events;
  if (folder) events = run_events(*folder, hosts, latest);
  WorkOutcome outcome;
  std::string self_check;
  if (launch.work_left && (launch.device == "cuda" || options.self_check))
    self_check = check_devices(world, launch);
  if (launch.work_left)
    outcome = compute(world, launch, options, folder ? &*folder : nullptr, events, phases);
  const auto phase_seconds = gather_phases(communicator, phases);
  RunEnd end;
  root_works(communicator, options.rank_timeout, [&] {
    try {
      end = finish(*folder, launch, outcome, latest, hosts, phase_seconds, self_check);
    } catch (const InputError& error) {  // of the merge; the other ranks are done
      spdlog::error("{}", error.what());
      end = {exit_output_error, {}};
    }
  });
  communicator.barrier();
  return end;
}

}  // namespace rvsweep
