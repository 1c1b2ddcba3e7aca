// Job files.
#include "rvsweep/plan/config_file.hpp"

#include "fuzz/fuzz.hpp"
#include "rvsweep/plan/sweep_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  return testing::taken_or_refused([&] {
    const auto file = testing::file_of("job.cfg", testing::text_of(bytes, size));
    parse_sweep_config(read_config({file.string()}, {}));
  });
}
