#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "cli/options.hpp"
#include "cli/status_watch.hpp"
#include "rvsweep/sweep/progress.hpp"
#include "rvsweep/sweep/status.hpp"

namespace rvsweep {
namespace {

using nlohmann::ordered_json;

void print(const std::filesystem::path& folder, const ordered_json& status) {
  std::cout << fmt::format("{}: {}\n", folder.string(), status["state"].get<std::string>());
  std::cout << fmt::format(
      "rows      {} of {} done, {} left, {} refused, {} failed\n",
      status["rows_done"].get<std::int64_t>(), status["rows_total"].get<std::int64_t>(),
      status["rows_left"].get<std::int64_t>(), status["rows_refused"].get<std::int64_t>(),
      status.value("rows_failed", std::int64_t{0}));
  if (const double speed = status.value("rows_per_second", 0.0); speed > 0) {
    std::cout << fmt::format("speed     {:.1f} rows/s", speed);
    if (status.contains("eta_seconds") && status["state"] == "running")
      std::cout << ", ETA " << clock_text(status["eta_seconds"].get<double>());
    std::cout << "\n";
  }
  if (status.contains("updated"))
    std::cout << "as of     " << status["updated"].get<std::string>() << "\n";
  for (const auto& rank : status.value("ranks", ordered_json::array()))
    std::cout << fmt::format(
        "rank {:<4} {}  {} bundles done, {}, last sign of life {:.0f} s before\n",
        rank["rank"].get<int>(), rank["host"].get<std::string>(), rank["bundles_done"].get<int>(),
        rank.contains("bundle") ? "computing bundle " + std::to_string(rank["bundle"].get<int>())
                                : "idle",
        rank["seconds_since_sign_of_life"].get<double>());
}

}  // namespace

int status_command(const Arguments& arguments) {
  po::options_description all("Status");
  all.add_options()("dir", po::value<std::string>(), "folder of the sweep")(
      "watch,w", po::bool_switch(),
      "a page drawn again every second until the run ends; the exit code tells how it did")(
      "json", po::bool_switch(), "one JSON object on stdout");
  const auto options = parse_options(arguments, all, "status DIR [--watch] [--json]", "dir");
  if (!options) return exit_done;
  const std::filesystem::path folder = (*options)["dir"].as<std::string>();
  const bool json = (*options)["json"].as<bool>();
  if ((*options)["watch"].as<bool>()) return watch_status(folder, json);
  const ordered_json status = sweep_status(folder, read_bundle_of_item(folder));
  if (json)
    std::cout << status.dump() << std::endl;
  else
    print(folder, status);
  return exit_done;
}

}  // namespace rvsweep
