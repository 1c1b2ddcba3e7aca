// config.json.
#include "rvsweep/model_config/model_config.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  return testing::taken_or_refused([&] {
    load_model_config(testing::file_of("config.json", testing::text_of(bytes, size)).parent_path());
  });
}
