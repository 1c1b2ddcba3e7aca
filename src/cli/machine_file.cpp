#include "cli/machine_file.hpp"

#include <fstream>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/ini.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/quantity.hpp"

namespace rvsweep {
namespace {

const Units plain{{"", 1}};

std::string forms(const Units& units) {
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
  std::map<std::string, std::string> keys;
  for (const IniEntry& entry : read_ini(stream, file.string())) keys[entry.key] = entry.value;
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
    const double value = parse_quantity(found->second, units).value_or(0);
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
  take("memory_per_node", byte_units, true, machine.memory_per_node);
  take("memory_per_gpu", byte_units, machine.gpus_per_node > 0, machine.memory_per_gpu);
  take("cores_per_rank", plain, false, machine.cores_per_rank);
  take("rows_per_second", plain, false, machine.rows_per_second);
  take("gflops", plain, machine.rows_per_second == 0, machine.gflops);
  take("max_time", time_units, true, machine.max_time);
  known.push_back("machine.name");
  machine.name = keys["machine.name"];
  keys.erase("machine.name");
  if (!keys.empty())
    throw InputError(file.string(), "unknown key " + keys.begin()->first,
                     name_hint(keys.begin()->first, known));
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
