#pragma once
// Version of this program.
#include <string>

namespace rvsweep {

/// Version and commit, "0.2.0 (1a2b3c4d5e6f)".
std::string version_text();
std::string version_number();
std::string git_commit();

}  // namespace rvsweep
