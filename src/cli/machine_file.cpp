#include "cli/machine_file.hpp"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <fstream>
#include <functional>
#include <map>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

const std::map<std::string, double> sizes{{"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}};
const std::map<std::string, double> times{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
const std::map<std::string, double> plain{{"", 1}};

/// A positive number and one of `units`; 0 where it is neither.
double quantity(const std::string& text, const std::map<std::string, double>& units) {
  std::size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    return 0;
  }
  const auto unit = units.find(text.substr(end));
  return unit == units.end() || !(value > 0) ? 0 : value * unit->second;
}

std::string forms(const std::map<std::string, double>& units) {
  if (units.size() == 1) return "a number above 0";
  std::string text = "a number above 0 with one of";
  for (const auto& [unit, factor] : units) text += " " + unit;
  return text;
}

std::map<std::string, std::string> read_keys(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file))
    throw InputError(file.string(), "cannot be read as a machine file",
                     "configs/machines holds examples");
  po::parsed_options parsed(nullptr);
  try {
    parsed = po::parse_config_file(stream, po::options_description(), /*allow_unregistered=*/true);
  } catch (const po::error& error) {
    throw InputError(file.string(), error.what(), "correct the file");
  }
  std::map<std::string, std::string> keys;
  for (const auto& option : parsed.options) keys[option.string_key] = option.value.front();
  return keys;
}

}  // namespace

Machine read_machine(const std::filesystem::path& file) {
  Machine machine;
  auto keys = read_keys(file);
  std::vector<std::string> known;
  const auto take = [&](const std::string& name, const auto& units, bool needed, auto& target) {
    known.push_back("machine." + name);
    const auto found = keys.find(known.back());
    if (found == keys.end()) {
      if (needed) throw InputError(file.string(), "lacks " + known.back(), "write " + forms(units));
      return;
    }
    const double value = quantity(found->second, units);
    const auto rounded = static_cast<std::decay_t<decltype(target)>>(value);
    const bool is_zero_gpus = name == "gpus_per_node" && found->second == "0";
    if ((value == 0 && !is_zero_gpus) || static_cast<double>(rounded) != value)
      throw InputError(file.string(), known.back() + " = " + found->second + " is out of range",
                       "write " + forms(units));
    target = rounded;
    keys.erase(found);
  };
  take("nodes", plain, true, machine.nodes);
  take("cores_per_node", plain, true, machine.cores_per_node);
  take("gpus_per_node", plain, false, machine.gpus_per_node);
  take("memory_per_node", sizes, true, machine.memory_per_node);
  take("memory_per_gpu", sizes, machine.gpus_per_node > 0, machine.memory_per_gpu);
  take("cores_per_rank", plain, false, machine.cores_per_rank);
  take("rows_per_second", plain, false, machine.rows_per_second);
  take("gflops", plain, machine.rows_per_second == 0, machine.gflops);
  take("max_time", times, true, machine.max_time);
  known.push_back("machine.name");
  machine.name = keys["machine.name"];
  keys.erase("machine.name");
  if (!keys.empty())
    throw InputError(file.string(), "unknown key " + keys.begin()->first,
                     "did you mean " + nearest_name(keys.begin()->first, known) + "?");
  if (machine.name.empty()) machine.name = file.stem().string();
  if (machine.cores_per_rank == 0)
    machine.cores_per_rank =
        machine.gpus_per_node > 0
            ? std::max<std::int64_t>(1, machine.cores_per_node / machine.gpus_per_node)
            : std::min<std::int64_t>(8, machine.cores_per_node);
  if (machine.cores_per_rank > machine.cores_per_node)
    throw InputError(file.string(), "machine.cores_per_rank exceeds machine.cores_per_node",
                     "a rank lives on one node");
  return machine;
}

}  // namespace rvsweep
