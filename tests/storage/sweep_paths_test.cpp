#include "rvsweep/storage/sweep_paths.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(SweepPaths, SegmentNamesLeadBackToTheirBundle) {
  EXPECT_EQ(segment_file("dir", BundleId{12}), "dir/segments/bundle-000012.h5");
  for (std::int32_t bundle : {0, 12, 999999, 1000000, INT32_MAX}) {
    const std::string name = segment_file("dir", BundleId{bundle}).filename().string();
    EXPECT_EQ(bundle_of_segment_name(name), BundleId{bundle}) << name;
  }
}

TEST(SweepPaths, OtherNamesAreNoSegments) {
  for (const char* name :
       {"bundle-12.h5", "bundle-0000012.h5", "bundle-00001x.h5", "bundle-.h5", "bundle--00012.h5",
        "bundle-000012.h5.damaged", ".bundle-000012.h5.node-1-0.tmp", "bundle-99999999999.h5", "",
        "bundle-+00012.h5", "plan.h5"}) {
    EXPECT_EQ(bundle_of_segment_name(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace rvsweep
