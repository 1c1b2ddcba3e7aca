#include <iostream>

#include "cli/options.hpp"
#include "rvsweep/storage/verify.hpp"

namespace rvsweep {

int verify_command(const Arguments& arguments) {
  po::options_description all("Verify");
  all.add_options()("path", po::value<std::string>(), "folder of a sweep, or one of its files");
  const auto options = parse_options(arguments, all, "verify DIR_OR_FILE", "path");
  if (!options) return exit_done;
  const VerifyReport report = verify((*options)["path"].as<std::string>());
  for (const auto& line : report.damage) std::cout << "damaged  " << line << "\n";
  for (const auto& line : report.notes) std::cout << "note     " << line << "\n";
  std::cout << report.files << " files checked, " << report.rows_present << " of " << report.rows
            << " rows present, " << report.rows_missing
            << " missing: " << (report.sound() ? "sound" : "damaged") << "\n";
  return report.sound() ? exit_done : exit_output_error;
}

}  // namespace rvsweep
