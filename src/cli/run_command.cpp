#include <iostream>

#include "cli/options.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/quantity.hpp"
#include "rvsweep/core/stop_signal.hpp"
#include "rvsweep/sweep/run.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// The duration that an option gives ("90", "90s", "30m", "2h", "1d"); none without the option.
std::optional<Seconds> duration_of(const po::variables_map& options, const std::string& name) {
  if (!options.contains(name)) return std::nullopt;
  Units units = time_units;
  units[""] = 1;
  const std::string text = options[name].as<std::string>();
  const auto seconds = parse_quantity(text, units);
  if (!seconds)
    throw InputError("--" + name + " " + text, "is not a duration", "write 90s, 30m, 2h or 1d");
  return Seconds(*seconds);
}

RunOptions run_options(const po::variables_map& options) {
  if (!options.contains("out"))
    throw InputError("command line", "--out is missing", "name the folder of the sweep");
  RunOptions run;
  run.out = options["out"].as<std::string>();
  run.extend = options["extend"].as<bool>();
  run.retry_failed = options["retry-failed"].as<bool>();
  run.max_time = duration_of(options, "max-time");
  run.rank_timeout = duration_of(options, "rank-timeout");
  if (run.rank_timeout && run.rank_timeout->count() < 3)
    throw InputError("--rank-timeout", "is shorter than 3 s",
                     "give more: a sign of life comes every second");
  run.max_attempts = options["max-attempts"].as<int>();
  if (run.max_attempts < 1)
    throw InputError("--max-attempts", "is not 1 or more", "leave it out for 3");
  run.config_files = config_files(options);
  run.sets = config_sets(options);
  return run;
}

po::options_description all_options() {
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
  return all;
}

int run_on_rank(World& world, const RunOptions& options) {
  try {
    const RunEnd end = run_sweep(world, options);
    if (!end.results.empty()) std::cout << end.results.string() << std::endl;
    return end.code;
  } catch (const RankLost& error) {
    spdlog::error("{}: the job ends; run the same command again to go on", error.what());
    throw;
  } catch (const std::exception& error) {
    // Told here, because World ends the other ranks as the exception leaves.
    if (world.communicator().size() > 1) spdlog::error("{}", error.what());
    if (world.communicator().size() > 1 && dynamic_cast<const DeviceError*>(&error) != nullptr)
      world.communicator().abort(exit_device_error);
    throw;
  }
}

}  // namespace

int run_command(const Arguments& arguments) {
  install_stop_handlers();
  World world;
  const bool is_root = world.communicator().rank() == 0;
  start_log(world.communicator().rank(), world.communicator().size());
  if (!is_root) std::cout.setstate(std::ios::failbit);  // rank 0 speaks for all
  RunOptions run;
  try {
    const auto options =
        parse_options(arguments, all_options(), "run --config F... --out DIR [options]");
    if (!options) return exit_done;
    if ((*options)["dump-config"].as<bool>()) {
      if (is_root) std::cout << dump_config(config_of(*options));
      return exit_done;
    }
    run = run_options(*options);
  } catch (const InputError& error) {  // every rank finds the same
    if (is_root) spdlog::error("{}", error.what());
    return exit_bad_input;
  }
  return run_on_rank(world, run);
}

}  // namespace rvsweep
