#include "sweep/compute.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/stop_signal.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/experiment/directions.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/experiment/natural_states.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/sweep/load_model.hpp"
#include "sweep/events.hpp"

namespace rvsweep {
namespace {

/// One bundle on this rank: computed, then read and written while the next one is computed.
Executor make_executor(const BundleRunner& runner, const Launch& launch, const World& world,
                       const std::filesystem::path& folder, PhaseClock& phases) {
  return [&, prepared = false](const Bytes& payload) mutable -> Commit {
    if (!std::exchange(prepared, true))
      prepare_thread(runner.model.placement(), launch.threads);  // the compute thread
    const std::string started = utc_now();
    const auto begin = std::chrono::steady_clock::now();
    Bundle bundle = from_bytes<Bundle>(payload);
    BundleResult result = runner.compute(bundle);
    const Seconds seconds = std::chrono::steady_clock::now() - begin;
    const BundleRunFacts facts{world.communicator().rank(), world.node().host, started,
                               seconds.count()};
    return [&, bundle = std::move(bundle), result = std::move(result), facts]() mutable {
      runner.read_texts(bundle, result);
      result.run = facts;
      const PhaseTimer timer(&phases, Phase::hdf5);
      write_segment(folder, launch.fingerprint, result);
      return to_bytes(outcome_of(result.rows));
    };
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
    return to_bytes(complete_bundle(folder.plan, BundleId{id}));
  };
  return source;
}

/// What ranks must have alike.
std::string hardware_text(const Placement& placement) {
  const GpuLibraries libraries = gpu_libraries(placement);
  std::string text = hardware_name(placement);
  if (!libraries.cuda.empty())
    text += fmt::format(" with CUDA {}, cuBLAS {}, cuDNN {}", libraries.cuda, libraries.cublas,
                        libraries.cudnn);
  return text;
}

void check_like_hardware(const std::vector<std::string>& hardware) {
  const auto other = std::find_if(hardware.begin(), hardware.end(),
                                  [&](const auto& name) { return name != hardware.front(); });
  if (other != hardware.end())
    throw InputError("", "ranks have unlike hardware (" + hardware.front() + ", " + *other + ")",
                     "their bits would differ; start them on machines of one kind");
}

void tell_start(const SweepFolder& folder, const Launch& launch,
                const std::vector<std::string>& hardware) {
  spdlog::info("{} pairs, {} arms, {} rows ({} refused, {} done before) in {} bundles",
               folder.plan.pairs.size(), folder.plan.arms.size(), folder.rows.total,
               folder.rows.refused, folder.resumed, folder.plan.bundles.size());
  spdlog::info("{} rank(s) on {} ({}), {} thread(s) each, {}", hardware.size(), launch.device,
               hardware.front(), launch.threads, launch.dtype);
}

/// What a sweep takes beyond the phases that its compute thread adds is time in which that waits.
template <class Sweep>
WorkOutcome with_wait_timed(PhaseClock& phases, const Sweep& sweep) {
  const auto sum = [&] {
    const auto seconds = phases.seconds();
    return std::accumulate(seconds.begin(), seconds.begin() + static_cast<int>(Phase::texts), 0.0);
  };
  const double before = sum();
  const auto begin = std::chrono::steady_clock::now();
  const WorkOutcome outcome = sweep();
  const Seconds seconds = std::chrono::steady_clock::now() - begin;
  phases.add(Phase::wait, std::max(0.0, seconds.count() - (sum() - before)));
  return outcome;
}

Transformer load_timed(const World& world, const SweepConfig& config, const Placement& placement,
                       int threads, PhaseClock& phases) {
  ModelConfig shape = load_model_config(config.model_path);
  const PhaseTimer timer(&phases, Phase::load);
  const WeightSource source = find_weights(config.model_path, shape, config.random_weights);
  return load_on_every_rank(world, shape, source, placement, threads);
}

}  // namespace

WorkOutcome compute(const World& world, const Launch& launch, const RunOptions& options,
                    SweepFolder* folder, const WorkEvents& events, PhaseClock& phases) {
  Communicator& communicator = world.communicator();
  const SweepConfig config = parse_sweep_config(launch.config);
  const Placement placement = place_rank(launch.device, launch.dtype, world.node().local_rank);
  const auto hardware = communicator.all_gather(hardware_text(placement));
  check_like_hardware(hardware);
  prepare_thread(placement, launch.threads);
  const Transformer model = load_timed(world, config, placement, launch.threads, phases);
  const Tokenizer tokenizer = Tokenizer::load(config.model_path);
  SweepSettings settings = sweep_settings(config, model.config(), tokenizer, launch);
  settings.directions = directions_of(model, settings.arms, config.seed, launch.direction_files,
                                      launch.direction_prompts);
  const BundleRunner runner{
      .model = model,
      .tokenizer = tokenizer,
      .settings = settings,
      .prompt_columns = prompt_columns(config, model.config()),
      .row_columns =
          row_columns(config, model.config(), settings.arms, settings.families, launch.has_answers),
      .means = means_over(model, launch.mean_prompts),
      .natural = natural_states(model, launch.natural_prompts, settings.state_distance_layers),
      .phases = &phases};
  const std::string unused = unused_cores(communicator, world.node());
  if (!unused.empty() && launch.device == "cpu" && world.node().local_rank == 0)
    spdlog::warn("{}", unused);
  std::optional<WorkSource> source;
  if (folder != nullptr) {
    source = work_left(*folder, options.max_attempts);
    tell_start(*folder, launch, hardware);
  }
  const StopPolicy stop{stop_requested, options.max_time, options.rank_timeout};
  Executor executor = make_executor(runner, launch, world, options.out, phases);
  // What a process died of is then known at once; of more attempts the last one is alone.
  if (options.max_attempts == 1)
    executor = in_one_step([executor](const Bytes& payload) { return executor(payload)(); });
  return with_wait_timed(phases, [&] {
    return run_work(communicator, source ? &*source : nullptr, executor, events, stop);
  });
}

}  // namespace rvsweep
