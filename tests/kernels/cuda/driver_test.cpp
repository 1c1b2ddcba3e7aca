// Against a fake driver (tests/support/fake_cuda.c).
#include "kernels/cuda/driver.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace rvsweep::cuda {
namespace {

void set(const char* variable, const char* value) { setenv(variable, value, /*overwrite=*/1); }

TEST(Driver, SaysWhatItOffersAndWhyItDoesNotStart) {
  ASSERT_TRUE(has_driver());
  set("FAKE_DRIVER_VERSION", "12080");
  EXPECT_EQ(driver_version(), 12080);
  EXPECT_EQ(start_error(), "");
  set("FAKE_DRIVER_INIT", "802");
  EXPECT_EQ(start_error(), "system not yet initialized");
  set("FAKE_DRIVER_INIT", "999");
  EXPECT_EQ(start_error(), "CUDA error 999") << "for which it has no words";
  set("FAKE_DRIVER_INIT", "0");
}

TEST(Driver, TellsGpusApartWhateverTheirIndex) {
  EXPECT_EQ(device_name(0), "Fake GPU");
  EXPECT_EQ(device_name(1), std::nullopt);
  set("FAKE_DRIVER_GPU", "0");
  EXPECT_EQ(device_uuid(0), "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a500");
  set("FAKE_DRIVER_GPU", "31");  // another task's, which has the index 0 there
  EXPECT_EQ(device_uuid(0), "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a51f");
  EXPECT_EQ(device_uuid(1), "");
}

}  // namespace
}  // namespace rvsweep::cuda
