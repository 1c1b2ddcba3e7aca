// What ranks say to each other: a message that is cut short or too long is a defect, and told.
#include "fuzz/fuzz.hpp"
#include "rvsweep/core/wire.hpp"
#include "rvsweep/plan/bundle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  try {
    from_bytes<Bundle>({reinterpret_cast<const std::byte*>(bytes), size});
  } catch (const ContractError&) {
  }
  return 0;
}
