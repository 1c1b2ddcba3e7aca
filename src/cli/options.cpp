#include "cli/options.hpp"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <iostream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/version.hpp"

namespace rvsweep {

std::optional<po::variables_map> parse_options(const Arguments& arguments,
                                               const po::options_description& options,
                                               const std::string& usage,
                                               const std::string& positional,
                                               const std::vector<std::string>& required) {
  po::options_description all(options);
  all.add_options()("help,h", "show this help")("version", "show the version");
  po::positional_options_description bare;
  if (!positional.empty()) bare.add(positional.c_str(), 1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(bare).run(), values);
    if (values.contains("help")) {
      std::cout << "Usage: rvsweep " << usage << "\n\n" << all;
      return std::nullopt;
    }
    if (values.contains("version")) {
      std::cout << "rvsweep " << version_text() << "\n";
      return std::nullopt;
    }
    po::notify(values);
  } catch (const po::error& error) {
    throw InputError("command line", error.what(), "usage: rvsweep " + usage);
  }
  const auto refuse = [&](const std::string& missing) {
    throw InputError("command line", missing + " is missing", "usage: rvsweep " + usage);
  };
  if (!positional.empty() && !values.contains(positional))
    refuse("the " + options.find(positional, false).description());
  for (const std::string& name : required)
    if (!values.contains(name)) refuse("--" + name);
  return values;
}

po::options_description sweep_options() {
  po::options_description options("The sweep");
  options.add_options()("config,c", po::value<std::vector<std::string>>()->composing(),
                        "INI file; may repeat, the later one wins")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "section.key=value over all files; may repeat")("device", po::value<std::string>(),
                                                      "cpu, cuda or auto (run.device)")(
      "dtype", po::value<std::string>(), "float32, bfloat16, float16 or auto (run.dtype)")(
      "device-memory", po::value<std::string>(),
      "of a GPU that a bundle may fill, like 80GB, or auto (run.device_memory)")(
      "random-weights", po::value<std::string>()->implicit_value("1"),
      "draw the weights from this seed in place of reading them (model.random_weights)")(
      "dump-config", po::bool_switch(), "print the merged configuration and stop");
  return options;
}

std::vector<std::filesystem::path> config_files(const po::variables_map& options) {
  if (!options.contains("config"))
    throw InputError("command line", "--config is missing",
                     "for example --config jobs/notebook.cfg");
  const auto& files = options["config"].as<std::vector<std::string>>();
  return {files.begin(), files.end()};
}

std::vector<std::string> config_sets(const po::variables_map& options) {
  std::vector<std::string> sets;
  if (options.contains("set")) sets = options["set"].as<std::vector<std::string>>();
  for (const char* key : {"device", "dtype"})
    if (options.contains(key))
      sets.push_back("run." + std::string(key) + "=" + options[key].as<std::string>());
  if (options.contains("device-memory"))
    sets.push_back("run.device_memory=" + options["device-memory"].as<std::string>());
  if (options.contains("random-weights"))
    sets.push_back("model.random_weights=" + options["random-weights"].as<std::string>());
  return sets;
}

ConfigValues config_of(const po::variables_map& options) {
  return read_config(config_files(options), config_sets(options));
}

}  // namespace rvsweep
