// A harness without libFuzzer: `HARNESS FOLDER` runs it on every file of the folder, on beginnings
// of each and on each with some bytes exchanged, the same ones at every call.
#include <algorithm>
#include <cstdio>
#include <random>

#include "fuzz/fuzz.hpp"
#include "rvsweep/core/read_file.hpp"

namespace {

int inputs = 0;

void run(const std::string& bytes) {
  ++inputs;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::size_t of_a_kind = 250;
  std::mt19937 random(1);
  for (const auto& entry : std::filesystem::directory_iterator(argc == 2 ? argv[1] : ".")) {
    const std::string seed = rvsweep::read_file(entry.path()).value();
    const std::size_t step = std::max<std::size_t>(seed.size() / of_a_kind, 1);
    for (std::size_t size = 0; size < seed.size(); size += step) run(seed.substr(0, size));
    run(seed);
    for (std::size_t i = 0; i < of_a_kind && !seed.empty(); ++i) {
      std::string changed = seed;
      for (std::size_t n = 0; n <= i % 4; ++n)
        changed[random() % changed.size()] = static_cast<char>(random());
      run(changed);
    }
  }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
