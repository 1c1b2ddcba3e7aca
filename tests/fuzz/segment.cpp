// plan.h5 and a segment: bytes that are not ours never reach HDF5, because their digest is wrong.
#include "rvsweep/storage/segment.hpp"

#include "fuzz/fuzz.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

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
