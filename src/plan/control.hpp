#pragma once
// Controls: arms that give a patched arm another donor, other layers or exchanged roles, as data.
#include <span>
#include <string>
#include <vector>

#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/config_file.hpp"

namespace rvsweep {

struct ControlInfo {
  Control control;
  std::string name;
  Donor donor;     // of every patch
  bool for_sites;  // arms that patch a site get it too; arms of the cache get every control
};

/// One entry per control, `none` included, in the order of the enum.
std::span<const ControlInfo> all_controls();
const ControlInfo& info_of(Control control);

/// The controls of `lines` ("self, gaussian control_of=LABEL") for `arms`, control by control, arm
/// by arm. Throws InputError naming file and line: an unknown control, label, or a control asked
/// for twice.
std::vector<Arm> control_arms(const std::vector<ConfigValue>& lines, const std::vector<Arm>& arms,
                              const ModelConfig& model);

}  // namespace rvsweep
