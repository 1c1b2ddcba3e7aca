#include <iostream>

#include "cli/options.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/storage/merge.hpp"

namespace rvsweep {

int merge_command(const Arguments& arguments) {
  po::options_description all("Merge");
  all.add_options()("dir", po::value<std::string>(), "folder of the sweep")(
      "partial", po::bool_switch(), "rows not computed yet become pending instead of an error")(
      "out,o", po::value<std::string>()->default_value(""),
      "file to write in place of DIR/results.h5, where the folder may only be read");
  const auto options = parse_options(arguments, all, "merge DIR [--partial] [-o FILE]", "dir");
  if (!options) return exit_done;
  const MergeReport report = merge(
      (*options)["dir"].as<std::string>(),
      {.partial = (*options)["partial"].as<bool>(), .into = (*options)["out"].as<std::string>()});
  for (const auto& segment : report.damaged)
    spdlog::warn("{}: {}", segment.file.string(), segment.reason);
  spdlog::info("{} rows ok, {} refused, {} failed, {} pending", report.rows_ok, report.rows_refused,
               report.rows_failed, report.rows_pending);
  std::cout << report.results.string() << "\n";
  return report.rows_failed > 0 ? exit_failed_rows : exit_done;
}

}  // namespace rvsweep
