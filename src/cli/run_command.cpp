#include <malloc.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/options.hpp"
#include "rvsweep/comm/root_work.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/stop_signal.hpp"
#include "rvsweep/experiment/bundle_contexts.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/scheduler/work.hpp"
#include "rvsweep/storage/merge.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/status_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "rvsweep/sweep/events.hpp"
#include "rvsweep/sweep/load_model.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// "90", "90s", "30m", "2h", "1d"; `option` names it in messages.
Seconds parse_duration(const std::string& option, const std::string& text) {
  std::size_t end = 0;
  double value = -1;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
  }
  const std::string unit = end < text.size() ? text.substr(end) : "s";
  const double seconds = unit == "s"   ? 1
                         : unit == "m" ? 60
                         : unit == "h" ? 3600
                         : unit == "d" ? 86400
                                       : 0;
  if (value <= 0 || seconds == 0)
    throw InputError(option + " " + text, "is not a duration", "write 90s, 30m, 2h or 1d");
  return Seconds(value * seconds);
}

/// The duration that an option gives; none without the option.
std::optional<Seconds> duration_of(const po::variables_map& options, const std::string& name) {
  if (!options.contains(name)) return std::nullopt;
  return parse_duration("--" + name, options[name].as<std::string>());
}

int max_attempts(const po::variables_map& options) { return options["max-attempts"].as<int>(); }

/// What can be wrong with the options of the run.
void check_options(const po::variables_map& options) {
  if (!options.contains("out"))
    throw InputError("command line", "--out is missing", "name the folder of the sweep");
  duration_of(options, "max-time");
  const auto rank_timeout = duration_of(options, "rank-timeout");
  if (rank_timeout && rank_timeout->count() < 3)
    throw InputError("--rank-timeout", "is shorter than 3 s",
                     "give more: a sign of life comes every second");
  if (max_attempts(options) < 1)
    throw InputError("--max-attempts", "is not 1 or more", "leave it out for 3");
}

Bytes to_bytes(const std::string& text) {
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// Computes and commits one bundle on this rank.
Executor make_executor(const BundleRunner& runner, const Launch& launch, const World& world,
                       const std::filesystem::path& folder, PhaseClock& phases) {
  return [&runner, &launch, &world, folder, &phases,
          threads_set = false](const Bytes& payload) mutable {
    if (!threads_set) use_threads(launch.threads);  // a setting of the compute thread
    threads_set = true;
    const std::string started = utc_now();
    const auto begin = std::chrono::steady_clock::now();
    BundleResult result = runner.run(unpack_bundle(payload));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    result.run = {world.communicator().rank(), world.place().host, started, seconds.count()};
    {
      const PhaseTimer timer(&phases, Phase::hdf5);
      write_segment(folder, launch.fingerprint, result);
    }
    const auto& status = std::get<std::vector<std::int8_t>>(
        std::find_if(result.rows.columns.begin(), result.rows.columns.end(), [](const Column& c) {
          return c.spec.name == "status";
        })->values);
    const auto failed =
        std::count(status.begin(), status.end(), static_cast<std::int8_t>(RowStatus::failed));
    return to_bytes(nlohmann::json{{"rows", status.size()}, {"failed", failed}}.dump());
  };
}

WorkSource work_left(const SweepFolder& folder, int max_attempts) {
  WorkSource source;
  source.max_attempts = max_attempts;
  for (const PlannedBundle& bundle : folder.plan.bundles) {
    if (folder.committed[static_cast<std::size_t>(bundle.id.value)]) continue;
    const auto attempts = folder.attempts.find(bundle.id);
    source.items.push_back(
        {bundle.id.value, bundle.cost, attempts == folder.attempts.end() ? 0 : attempts->second});
  }
  source.payload = [&folder](std::int32_t id) {
    return pack_bundle(complete_bundle(folder.plan, BundleId{id}));
  };
  return source;
}

/// Merges what is there and says how the run ended.
int finish(SweepFolder& folder, const WorkOutcome& outcome, const Snapshot& latest,
           const std::vector<std::string>& hosts,
           const std::vector<std::vector<double>>& phase_seconds) {
  const bool complete = outcome.left() == 0;
  show_progress("");
  write_status(folder.path, status_json(complete ? "finished" : "stopped", folder.rows,
                                        folder.resumed, latest, hosts));
  if (outcome.output_error) {
    spdlog::error("{}", *outcome.output_error);
    return exit_output_error;
  }
  if (outcome.stopped_early) {
    spdlog::info("stopped early with {} rows left: run the same command again to go on",
                 folder.rows.left());
    return exit_stopped_early;
  }
  MergeOptions options;
  options.run_facts = {{"ranks", std::to_string(hosts.size())}, {"finished", utc_now()}};
  options.phase_seconds = phase_seconds;
  const MergeReport report = merge(folder.path, options);
  spdlog::info("{} rows ok, {} refused, {} failed in {} ({:.1f} rows/s)", report.rows_ok,
               report.rows_refused, report.rows_failed, clock_text(latest.seconds),
               latest.seconds > 0
                   ? static_cast<double>(folder.rows.done - folder.resumed) / latest.seconds
                   : 0.0);
  std::cout << report.results.string() << std::endl;
  return report.rows_failed > 0 || outcome.failed > 0 ? exit_failed_rows : exit_done;
}

void check_like_hardware(const std::vector<std::string>& hardware) {
  const auto other = std::find_if(hardware.begin(), hardware.end(),
                                  [&](const auto& name) { return name != hardware.front(); });
  if (other != hardware.end())
    throw InputError("", "ranks have unlike hardware (" + hardware.front() + ", " + *other + ")",
                     "their bits would differ; start them on machines of one kind");
}

/// Rank 0 opens the folder and every rank learns what to do, or that nothing is to be done.
Launch launch_sweep(const World& world, const po::variables_map& options,
                    std::optional<SweepFolder>& folder) {
  Communicator& communicator = world.communicator();
  const std::filesystem::path out = options["out"].as<std::string>();
  const int threads = automatic_threads(communicator, world.place());
  Launch launch;
  root_works(communicator, duration_of(options, "rank-timeout"), [&] {
    try {
      launch.config = config_of(options);
      const FolderOptions wanted{options["extend"].as<bool>(), options["retry-failed"].as<bool>()};
      folder = open_folder(launch.config, out, wanted, threads, launch);
      malloc_trim(0);  // opening takes more than the sweep's plan, which stays
      start_log(0, communicator.size(), log_file(out).string());
      begin_attempts(*folder, communicator.size(), max_attempts(options));
      launch.work_left = !folder->is_complete();
    } catch (const InputError& error) {
      launch.refusal = error.what();
      launch.exit_code = exit_bad_input;  // an unwritable folder too: nothing has begun
    }
  });
  return share_launch(communicator, launch);
}

/// What a sweep takes beyond the phases that it adds is time in which this rank waits.
template <class Sweep>
WorkOutcome with_wait_timed(PhaseClock& phases, const Sweep& sweep) {
  const auto sum = [&] {
    const auto seconds = phases.seconds();
    return std::accumulate(seconds.begin(), seconds.end(), 0.0);
  };
  const double before = sum();
  const auto begin = std::chrono::steady_clock::now();
  const WorkOutcome outcome = sweep();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  phases.add(Phase::wait, std::max(0.0, seconds.count() - (sum() - before)));
  return outcome;
}

/// Seconds by phase of every rank. Collective.
std::vector<std::vector<double>> gather_phases(Communicator& communicator,
                                               const PhaseClock& phases) {
  std::vector<std::vector<double>> of_ranks;
  for (const auto& text : communicator.all_gather(nlohmann::json(phases.seconds()).dump()))
    of_ranks.push_back(nlohmann::json::parse(text).get<std::vector<double>>());
  return of_ranks;
}

/// Loads the model and takes part in the sweep. Collective.
WorkOutcome compute(const World& world, const Launch& launch, const po::variables_map& options,
                    SweepFolder* folder, const WorkEvents& events, PhaseClock& phases) {
  Communicator& communicator = world.communicator();
  const SweepConfig config = parse_sweep_config(launch.config);
  const Placement placement = place_rank(launch.device, launch.dtype, world.place().local_rank);
  const auto hardware = communicator.all_gather(hardware_name(placement));
  check_like_hardware(hardware);
  use_threads(launch.threads);
  const ModelConfig shape = load_model_config(config.model_path);
  std::optional<PhaseTimer> loading(std::in_place, &phases, Phase::load);
  const Transformer model = load_on_every_rank(
      world, shape, find_weights(config.model_path, shape, config.random_weights), placement,
      launch.threads);
  loading.reset();
  const Tokenizer tokenizer = Tokenizer::load(config.model_path);
  const SweepSettings settings = sweep_settings(config, model.config(), tokenizer, launch);
  const BundleRunner runner{model,
                            tokenizer,
                            settings,
                            prompt_columns(config, model.config()),
                            row_columns(config, model.config(), settings.arms, settings.families),
                            means_over(model, launch.mean_prompts),
                            {},
                            &phases};
  std::optional<WorkSource> source;
  if (folder != nullptr) {
    source = work_left(*folder, max_attempts(options));
    const auto& rows = folder->rows;
    spdlog::info("{} pairs, {} arms, {} rows ({} refused, {} done before) in {} bundles",
                 folder->plan.pairs.size(), folder->plan.arms.size(), rows.total, rows.refused,
                 folder->resumed, folder->plan.bundles.size());
    spdlog::info("{} rank(s) on {} ({}), {} thread(s) each, {}", communicator.size(), launch.device,
                 hardware.front(), launch.threads, launch.dtype);
  }
  StopPolicy stop;
  stop.stop_requested = stop_requested;
  stop.max_time = duration_of(options, "max-time");
  stop.rank_timeout = duration_of(options, "rank-timeout");
  const Executor executor =
      make_executor(runner, launch, world, options["out"].as<std::string>(), phases);
  return with_wait_timed(phases, [&] {
    return run_work(communicator, source ? &*source : nullptr, executor, events, stop);
  });
}

int run_on_rank(World& world, const po::variables_map& options) {
  Communicator& communicator = world.communicator();
  world.set_patience(duration_of(options, "rank-timeout"));
  const auto hosts = communicator.all_gather(world.place().host);
  std::optional<SweepFolder> folder;  // rank 0 only
  PhaseClock phases;
  std::optional<PhaseTimer> planning(
      std::in_place, &phases, world.communicator().rank() == 0 ? Phase::tokenise : Phase::wait);
  const Launch launch = launch_sweep(world, options, folder);
  planning.reset();
  if (!launch.refusal.empty()) {
    if (folder || communicator.rank() == 0) spdlog::error("{}", launch.refusal);
    return communicator.rank() == 0 ? launch.exit_code : exit_done;
  }
  Snapshot latest;
  WorkEvents events;
  if (folder) events = run_events(*folder, hosts, latest);
  WorkOutcome outcome;
  if (launch.work_left)
    outcome = compute(world, launch, options, folder ? &*folder : nullptr, events, phases);
  const auto phase_seconds = gather_phases(communicator, phases);
  int code = exit_done;
  root_works(communicator, duration_of(options, "rank-timeout"), [&] {
    try {
      code = finish(*folder, outcome, latest, hosts, phase_seconds);
    } catch (const InputError& error) {  // of the merge; the other ranks are done
      spdlog::error("{}", error.what());
      code = exit_output_error;
    }
  });
  communicator.barrier();
  return code;
}

}  // namespace

int run_command(const Arguments& arguments) {
  auto all = sweep_options();
  po::options_description here("The run");
  here.add_options()("out,o", po::value<std::string>(),
                     "folder of the sweep; the same folder again resumes it")(
      "extend", po::bool_switch(),
      "the folder holds a smaller sweep: add the pairs, samples and arms that it lacks")(
      "retry-failed", po::bool_switch(), "compute bundles with failed rows again")(
      "max-time", po::value<std::string>(),
      "stop in good order after 90s, 30m, 2h or 1d, with exit code 75")(
      "rank-timeout", po::value<std::string>(),
      "end the job when a rank is silent for so long (a stopped process, a lost node); longer than "
      "reading the weights takes; off by default")(
      "max-attempts", po::value<int>()->default_value(3),
      "a bundle that failed or killed the process so often is set aside, its rows failed");
  all.add(here);
  install_stop_handlers();
  World world;
  const bool is_root = world.communicator().rank() == 0;
  start_log(world.communicator().rank(), world.communicator().size());
  if (!is_root) std::cout.setstate(std::ios::failbit);  // rank 0 speaks for all
  std::optional<po::variables_map> options;
  try {
    options = parse_options(arguments, all, "run --config F... --out DIR [options]");
    if (!options) return exit_done;
    if ((*options)["dump-config"].as<bool>()) {
      if (is_root) std::cout << dump_config(config_of(*options));
      return exit_done;
    }
    check_options(*options);
  } catch (const InputError& error) {  // every rank finds the same
    if (is_root) spdlog::error("{}", error.what());
    return exit_bad_input;
  }
  try {
    return run_on_rank(world, *options);
  } catch (const RankLost& error) {
    spdlog::error("{}: the job ends; run the same command again to go on", error.what());
    throw;
  } catch (const std::exception& error) {
    // Told here, because World ends the other ranks as the exception leaves.
    if (world.communicator().size() > 1) spdlog::error("{}", error.what());
    throw;
  }
}

}  // namespace rvsweep
