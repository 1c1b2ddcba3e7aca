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
  Donor donor;           // of every patch
  bool for_sites;        // arms that patch a site get it too; arms of the cache get every control
  bool repeats = false;  // NAME*K asks for K of them

  bool gives_donor() const {
    return donor.prompt != DonorPrompt::pair || donor.derivation != Derivation::none;
  }
};

/// One entry per control, `none` included, in the order of the enum.
std::span<const ControlInfo> all_controls();
const ControlInfo& info_of(Control control);

/// "other_base", and "other_base:2" for the second copy.
std::string control_name(const Arm& arm);

/// The controls of `lines` ("self, other_base*4 control_of=LABEL") for `arms`, control by control,
/// arm by arm, copy by copy. `seed` draws layers: those of copy k do not depend on how many there
/// are. Throws InputError naming file and line: an unknown control, label, number, or a control
/// asked for twice.
std::vector<Arm> control_arms(const std::vector<ConfigValue>& lines, const std::vector<Arm>& arms,
                              const ModelConfig& model, std::uint64_t seed);

}  // namespace rvsweep
