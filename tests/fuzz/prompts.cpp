// Prompt files; the first byte chooses pairs or a bank, lines of JSON, commas or tabs.
#include "rvsweep/text/prompts.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  if (size == 0) return 0;
  const char* const names[] = {"p.jsonl", "p.csv", "p.tsv"};
  const auto file = testing::file_of(names[bytes[0] % 3], testing::text_of(bytes + 1, size - 1));
  return testing::taken_or_refused([&] {
    if (bytes[0] % 2 == 0)
      read_prompts(file, [](const Prompt&) {});
    else
      read_bank(file);
  });
}
