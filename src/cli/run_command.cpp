#include <algorithm>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "rvsweep/cli/options.hpp"
#include "rvsweep/cli/sweep_folder.hpp"
#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/stop_signal.hpp"
#include "rvsweep/experiment/bundle_contexts.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/scheduler/sweep.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/merge.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/status_file.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// "90", "90s", "30m", "2h", "1d" in seconds.
double parse_duration(const std::string& text) {
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
    throw InputError("--max-time " + text, "is not a duration", "write 90s, 30m, 2h or 1d");
  return value * seconds;
}

Bytes to_bytes(const std::string& text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

nlohmann::json from_bytes(const Bytes& bytes) {
  const char* text = reinterpret_cast<const char*>(bytes.data());
  return nlohmann::json::parse(text, text + bytes.size());
}

/// Computes and commits one bundle on this rank.
Executor make_executor(const BundleRunner& runner, const Launch& launch, const World& world,
                       const std::filesystem::path& folder) {
  return [&runner, &launch, &world, folder, threads_set = false](const Bytes& payload) mutable {
    if (!threads_set) use_threads(launch.threads);  // a setting of the compute thread
    threads_set = true;
    const std::string started = utc_now();
    const auto begin = std::chrono::steady_clock::now();
    BundleResult result = runner.run(unpack_bundle(payload));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    result.run = {world.communicator().rank(), world.place().host, started, seconds.count()};
    write_segment(folder, launch.fingerprint, result);
    const auto& status = std::get<std::vector<std::int8_t>>(
        std::find_if(result.rows.columns.begin(), result.rows.columns.end(), [](const Column& c) {
          return c.spec.name == "status";
        })->values);
    const auto failed =
        std::count(status.begin(), status.end(), static_cast<std::int8_t>(RowStatus::failed));
    return to_bytes(nlohmann::json{{"rows", status.size()}, {"failed", failed}}.dump());
  };
}

WorkSource work_left(const SweepFolder& folder) {
  WorkSource source;
  for (const Bundle& bundle : folder.plan.bundles)
    if (!folder.committed[static_cast<std::size_t>(bundle.id.value)])
      source.items.push_back({bundle.id.value, bundle.cost});
  source.payload = [&folder](std::int32_t id) {
    return pack_bundle(folder.plan.bundles.at(static_cast<std::size_t>(id)));
  };
  return source;
}

SweepEvents report_events(SweepFolder& folder, const std::vector<std::string>& hosts,
                          Snapshot& latest) {
  SweepEvents events;
  events.on_done = [&folder](std::int32_t, int, const Bytes& outcome) {
    const auto counts = from_bytes(outcome);
    folder.rows.done += counts.at("rows").get<std::int64_t>();
    folder.rows.failed += counts.at("failed").get<std::int64_t>();
  };
  events.on_failed = [](std::int32_t id, int rank, const std::string& reason) {
    spdlog::error("bundle {} could not be computed on rank {}: {}", id, rank, reason);
  };
  events.on_tick = [&folder, &hosts, &latest](const Snapshot& snapshot) {
    latest = snapshot;
    show_progress(progress_line(folder.rows, folder.resumed, snapshot.seconds));
    write_status(folder.path, status_json("running", folder.rows, folder.resumed, snapshot, hosts));
  };
  return events;
}

/// Merges what is there and says how the run ended.
int finish(SweepFolder& folder, const SweepOutcome& outcome, const Snapshot& latest,
           const std::vector<std::string>& hosts) {
  const bool complete = outcome.left() == 0 && outcome.failed == 0;
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
  if (outcome.failed > 0) {
    spdlog::error(
        "{} bundles could not be computed: run the same command again to try them once more",
        outcome.failed);
    return exit_internal_error;
  }
  MergeOptions options;
  options.run_facts = {{"ranks", std::to_string(hosts.size())}, {"finished", utc_now()}};
  const MergeReport report = merge(folder.path, options);
  spdlog::info("{} rows ok, {} refused, {} failed in {} ({:.1f} rows/s)", report.rows_ok,
               report.rows_refused, report.rows_failed, clock_text(latest.seconds),
               latest.seconds > 0
                   ? static_cast<double>(folder.rows.done - folder.resumed) / latest.seconds
                   : 0.0);
  std::cout << report.results.string() << std::endl;
  return report.rows_failed > 0 ? exit_failed_rows : exit_done;
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
  if (communicator.rank() == 0) {
    try {
      launch.config = config_of(options);
      const FolderOptions wanted{options["extend"].as<bool>(), options["retry-failed"].as<bool>()};
      folder = open_folder(launch.config, out, wanted, threads, launch);
      start_log(0, communicator.size(), (out / "log.txt").string());
    } catch (const InputError& error) {
      launch.refusal = error.what();
      launch.exit_code = exit_bad_input;  // an unwritable folder too: nothing has begun
    }
  }
  return share_launch(communicator, launch);
}

/// GPU ranks receive the weights from rank 0 by NCCL where it works; all others read the files,
/// which on one node come from the page cache. Collective.
Transformer load_on_every_rank(const World& world, const std::filesystem::path& folder,
                               const Placement& placement) {
  Communicator& communicator = world.communicator();
  if (placement.device.is_cpu() || communicator.size() == 1)
    return load_transformer(folder, placement);
  std::string why_not;
  const auto nccl = Nccl::join(communicator, world.place().host, placement.device.index(), why_not);
  if (communicator.rank() == 0)
    spdlog::info("weights: {}",
                 nccl ? "broadcast by NCCL" : "read by every rank, because " + why_not);
  if (!nccl) return load_transformer(folder, placement);
  const ModelConfig config = load_model_config(folder);
  const Weights weights = communicator.rank() == 0
                              ? load_weights(config, read_safetensors_index(folder), placement)
                              : empty_weights(config, placement);
  for (const at::Tensor& parameter : parameters(weights))
    nccl->broadcast(parameter.data_ptr(), parameter.nbytes(), /*root=*/0);
  return Transformer(config, weights, placement);
}

/// Loads the model and takes part in the sweep. Collective.
SweepOutcome compute(const World& world, const Launch& launch, const po::variables_map& options,
                     SweepFolder* folder, const SweepEvents& events) {
  Communicator& communicator = world.communicator();
  const SweepConfig config = parse_sweep_config(launch.config);
  const Placement placement = place_rank(launch.device, launch.dtype, world.place().local_rank);
  const auto hardware = communicator.all_gather(hardware_name(placement));
  check_like_hardware(hardware);
  use_threads(launch.threads);
  const Transformer model = load_on_every_rank(world, config.model_path, placement);
  const Tokenizer tokenizer = Tokenizer::load(config.model_path);
  const SweepSettings settings = sweep_settings(config, model.config(), tokenizer, launch);
  const BundleRunner runner{model,
                            tokenizer,
                            settings,
                            prompt_columns(config, model.config()),
                            row_columns(config, model.config(), settings.arms, settings.families),
                            mean_over(model, launch.mean_prompts)};
  std::optional<WorkSource> source;
  if (folder != nullptr) {
    source = work_left(*folder);
    const auto& rows = folder->rows;
    spdlog::info("{} pairs, {} arms, {} rows ({} refused, {} done before) in {} bundles",
                 folder->plan.pairs.size(), folder->plan.arms.size(), rows.total, rows.refused,
                 folder->resumed, folder->plan.bundles.size());
    spdlog::info("{} rank(s) on {} ({}), {} thread(s) each, {}", communicator.size(), launch.device,
                 hardware.front(), launch.threads, launch.dtype);
  }
  StopPolicy stop;
  stop.stop_requested = stop_requested;
  if (options.contains("max-time"))
    stop.max_time =
        std::chrono::duration<double>(parse_duration(options["max-time"].as<std::string>()));
  const Executor executor = make_executor(runner, launch, world, options["out"].as<std::string>());
  return run_sweep(communicator, source ? &*source : nullptr, executor, events, stop);
}

int run_on_rank(const World& world, const po::variables_map& options) {
  Communicator& communicator = world.communicator();
  const auto hosts = communicator.all_gather(world.place().host);
  std::optional<SweepFolder> folder;  // rank 0 only
  const Launch launch = launch_sweep(world, options, folder);
  if (!launch.refusal.empty()) {
    if (folder || communicator.rank() == 0) spdlog::error("{}", launch.refusal);
    return communicator.rank() == 0 ? launch.exit_code : exit_done;
  }
  Snapshot latest;
  SweepEvents events;
  if (folder) events = report_events(*folder, hosts, latest);
  SweepOutcome outcome;
  if (launch.work_left)
    outcome = compute(world, launch, options, folder ? &*folder : nullptr, events);
  int code = exit_done;
  if (folder) {
    try {
      code = finish(*folder, outcome, latest, hosts);
    } catch (const InputError& error) {  // of the merge; the other ranks are done
      spdlog::error("{}", error.what());
      code = exit_output_error;
    }
  }
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
      "stop in good order after 90s, 30m, 2h or 1d, with exit code 75");
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
    if (!options->contains("out"))
      throw InputError("command line", "--out is missing", "name the folder of the sweep");
    if (options->contains("max-time")) parse_duration((*options)["max-time"].as<std::string>());
  } catch (const InputError& error) {  // every rank finds the same
    if (is_root) spdlog::error("{}", error.what());
    return exit_bad_input;
  }
  try {
    return run_on_rank(world, *options);
  } catch (const std::exception& error) {
    // Told here, because World ends the other ranks as the exception leaves.
    if (world.communicator().size() > 1) spdlog::error("{}", error.what());
    throw;
  }
}

}  // namespace rvsweep
