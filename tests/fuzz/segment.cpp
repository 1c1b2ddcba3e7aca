// plan.h5 and a segment. Bytes that are not ours do not reach HDF5, because their digest is wrong,
// until libFuzzer has seen the right one in the comparison.
#include "rvsweep/storage/segment.hpp"

#include "fuzz/fuzz.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

/// HDF5 1.10 loses memory of its own where a structure is damaged.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  const std::string_view all = testing::text_of(bytes, size);
  const auto segment = testing::file_of(segment_file("", BundleId{0}).filename().string(), all);
  check_segment(segment, 1);
  return testing::taken_or_refused([&] {
    const auto plan = testing::file_of(plan_file("").filename().string(), all);
    read_plan_file(plan.parent_path());
  });
}
