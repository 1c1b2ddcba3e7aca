#include "rvsweep/core/version.hpp"

#include "commit.h"

namespace rvsweep {

std::string version_number() { return RVSWEEP_VERSION; }
std::string git_commit() { return RVSWEEP_COMMIT; }
std::string version_text() { return version_number() + " (" + git_commit() + ")"; }

}  // namespace rvsweep
