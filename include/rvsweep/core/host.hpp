#pragma once
// The machine that this process runs on.
#include <string>

namespace rvsweep {

/// As gethostname(2) gives it.
std::string host_name();
/// Whether a process of this host has this id (also one of another user).
bool process_is_alive(long pid);
/// Now, in UTC: "2024-05-01T12:00:00Z".
std::string utc_now();

}  // namespace rvsweep
