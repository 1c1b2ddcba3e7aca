// A journal, as a crash may leave it.
#include "rvsweep/storage/journal.hpp"

#include "fuzz/fuzz.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  return testing::taken_or_refused([&] {
    const auto name = journal_file("").filename().string();
    const auto folder = testing::file_of(name, testing::text_of(bytes, size)).parent_path();
    Journal(folder).begin(1, 2, {false, true, false});
  });
}
