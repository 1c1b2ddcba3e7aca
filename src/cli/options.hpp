#pragma once
// Command-line options of the subcommands (Boost.Program_options).
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "rvsweep/plan/config_file.hpp"

namespace rvsweep {

namespace po = boost::program_options;

/// Parses `arguments`; a bare word sets the option `positional` ("" where none may stand), which
/// must be given like those of `required`. Prints usage and options for --help, and the version for
/// --version, and returns nothing then. Throws InputError for whatever Boost refuses and for what
/// is missing.
std::optional<po::variables_map> parse_options(const Arguments& arguments,
                                               const po::options_description& options,
                                               const std::string& usage,
                                               const std::string& positional = "",
                                               const std::vector<std::string>& required = {});

/// --config, --set, --device, --dtype, --device-memory, --random-weights, --dump-config: what names
/// a sweep.
po::options_description sweep_options();

/// The files of --config. InputError without any.
std::vector<std::filesystem::path> config_files(const po::variables_map& options);

/// --set, and the options that stand for one: --device, --dtype, --device-memory and
/// --random-weights.
std::vector<std::string> config_sets(const po::variables_map& options);

/// The merged configuration.
ConfigValues config_of(const po::variables_map& options);

}  // namespace rvsweep
