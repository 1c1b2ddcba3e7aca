#pragma once
// Controls: what is done instead of giving the pair's own donor, as data.
#include <cstdint>
#include <span>
#include <string>

#include "rvsweep/plan/arm.hpp"

namespace rvsweep {

/// Whose cells a patched row is given.
enum class DonorPrompt { pair, self, other_base, other_source, filler, donor_side };

/// What becomes of them first.
enum class Derivation { none, zero, gaussian, shuffled, mean };

struct ControlInfo {
  Control control;
  std::string name;
  DonorPrompt donor;
  Derivation derivation;
  bool for_sites;  // arms at sites get it too; kv_cache arms get every control
};

/// One entry per control, `none` included, in the order of the enum.
std::span<const ControlInfo> all_controls();
const ControlInfo& info_of(Control control);

}  // namespace rvsweep
