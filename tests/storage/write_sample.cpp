// Writes the made-up sweep of sample_sweep.hpp for test_h5py.py: FOLDER/full and FOLDER/partial
// (bundles 0 and 3 of 4), each with its results.h5.
#include <cstdio>
#include <exception>

#include "rvsweep/storage/merge.hpp"
#include "rvsweep/storage/segment.hpp"
#include "storage/sample_sweep.hpp"

int main(int argc, char** argv) {
  using namespace rvsweep;
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_sample_sweep FOLDER\n");
    return 2;
  }
  try {
    const sample::Sweep sweep = sample::sweep();
    for (const bool partial : {false, true}) {
      const auto folder = std::filesystem::path(argv[1]) / (partial ? "partial" : "full");
      sample::write_plan(folder, sweep);
      for (std::int32_t bundle = 0; bundle < sweep.n_bundles; ++bundle) {
        if (partial && (bundle == 1 || bundle == 2)) continue;
        write_segment(folder, sweep.fingerprint, sample::bundle_result(sweep, bundle));
      }
      merge(folder, {partial, {{"command", "write_sample_sweep"}}});
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
