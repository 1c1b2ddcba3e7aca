#include "rvsweep/core/error.hpp"

namespace rvsweep {

void broken_contract(const char* condition, const char* file, int line,
                     const std::string& message) {
  throw ContractError(std::string(file) + ":" + std::to_string(line) + ": " + message + " (" +
                      condition + " does not hold): please report this as a defect of rvsweep");
}

}  // namespace rvsweep
