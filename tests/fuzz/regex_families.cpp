// Families of regular expressions, and a text that theirs are counted in.
#include "rvsweep/text/regex_families.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  return testing::taken_or_refused(
      [&] { parse_regex_families(std::string(testing::text_of(bytes, size)), "families"); });
}
