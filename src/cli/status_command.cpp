#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "rvsweep/cli/options.hpp"
#include "rvsweep/cli/progress.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/layout.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/storage/status_file.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

/// Rows of the bundles whose segment is there: what a run that died left behind.
std::int64_t committed_rows(const std::filesystem::path& folder, const StaticSweep& sweep) {
  std::vector<bool> committed(static_cast<std::size_t>(sweep.n_bundles), false);
  for (const auto& entry : std::filesystem::directory_iterator(segments_folder(folder)))
    if (const auto bundle = bundle_of_segment_name(entry.path().filename().string());
        bundle && bundle->value < sweep.n_bundles)
      committed[static_cast<std::size_t>(bundle->value)] = true;
  std::int64_t rows = 0;
  for (const std::int32_t bundle : sweep.row_bundle)
    rows += bundle != no_bundle && committed[static_cast<std::size_t>(bundle)];
  return rows;
}

/// False where the run's lock is gone or names a process of this host that is; a run on another
/// host cannot be asked and counts as living.
bool holder_lives(const std::filesystem::path& folder) {
  std::ifstream file(lock_file(folder));
  const auto holder = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!holder.is_object()) return false;
  return holder.value("host", "") != host_name() || process_is_alive(holder.value("pid", 0L));
}

/// The last status of the run, its counts brought up to what is on the disk.
ordered_json status_of(const std::filesystem::path& folder, const StaticSweep& sweep) {
  RowCounts rows;
  rows.total = sweep.n_rows();
  for (const std::int32_t bundle : sweep.row_bundle) rows.refused += bundle == no_bundle;
  rows.done = committed_rows(folder, sweep);
  ordered_json status{{"state", "stopped"}};
  if (const auto text = read_status(folder)) status = ordered_json::parse(*text, nullptr, false);
  if (status.is_discarded()) status = {{"state", "stopped"}};
  if (status["state"] == "running" && !holder_lives(folder)) status["state"] = "died";
  status["rows_total"] = rows.total;
  status["rows_refused"] = rows.refused;
  status["rows_done"] = rows.done;
  status["rows_left"] = rows.left();
  return status;
}

void print(const std::filesystem::path& folder, const ordered_json& status) {
  std::cout << fmt::format("{}: {}\n", folder.string(), status["state"].get<std::string>());
  std::cout << fmt::format(
      "rows      {} of {} done, {} left, {} refused, {} failed\n",
      status["rows_done"].get<std::int64_t>(), status["rows_total"].get<std::int64_t>(),
      status["rows_left"].get<std::int64_t>(), status["rows_refused"].get<std::int64_t>(),
      status.value("rows_failed", std::int64_t{0}));
  if (status.contains("rows_per_second"))
    std::cout << fmt::format("speed     {:.1f} rows/s", status["rows_per_second"].get<double>());
  if (status.contains("eta_seconds") && status["state"] == "running")
    std::cout << ", ETA " << clock_text(status["eta_seconds"].get<double>());
  if (status.contains("updated"))
    std::cout << "\nas of     " << status["updated"].get<std::string>();
  std::cout << "\n";
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
      "watch,w", po::bool_switch(), "show it again every second until the run ends")(
      "json", po::bool_switch(), "one JSON object on stdout");
  const auto options = parse_options(arguments, all, "status DIR [--watch] [--json]", "dir");
  if (!options) return exit_done;
  if (!options->contains("dir"))
    throw InputError("command line", "the sweep's folder is missing", "rvsweep status DIR");
  const std::filesystem::path folder = (*options)["dir"].as<std::string>();
  const StaticSweep sweep = read_plan_file(folder);
  for (;;) {
    const ordered_json status = status_of(folder, sweep);
    const bool watch = (*options)["watch"].as<bool>();
    if ((*options)["json"].as<bool>()) {
      std::cout << status.dump() << std::endl;
    } else {
      if (watch) std::cout << "\033[H\033[2J";
      print(folder, status);
      std::cout << std::flush;
    }
    if (!watch || status["state"] != "running") return exit_done;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace rvsweep
