#include "rvsweep/core/error.hpp"

namespace rvsweep {

void broken_contract(const char* file, int line, const std::string& message, const char* how) {
  throw ContractError(std::string(file) + ":" + std::to_string(line) + ": " + message + " (" + how +
                      "): please report this as a defect of rvsweep");
}

}  // namespace rvsweep
