#pragma once
// The self-check of every rank's device, before a sweep computes anything on it.
#include <string>

#include "rvsweep/comm/world.hpp"
#include "rvsweep/sweep/launch.hpp"

namespace rvsweep {

/// Collective: each rank checks its device in the sweep's dtype (experiment/self_check.hpp).
/// Returns what /run tells of it, JSON: every operation with its bounds and the largest of all
/// ranks. DeviceError, on every rank, where one's device has not passed.
std::string check_devices(const World& world, const Launch& launch);

}  // namespace rvsweep
