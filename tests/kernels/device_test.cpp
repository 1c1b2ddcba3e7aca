#include "rvsweep/kernels/device.hpp"

#include <ATen/Parallel.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <thread>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

TEST(Device, Float16NeedsAGpu) {
  EXPECT_EQ(resolve_dtype("float16", "cuda"), "float16");
  EXPECT_TRUE(says(refusal_message([] { resolve_dtype("float16", "cpu"); }),
                   {"run.dtype", "float16", "GPU", "bfloat16 or float32"}));
}

TEST(Device, AutoIsTheUsualFormatOfTheDevice) {
  EXPECT_EQ(resolve_dtype("auto", "cuda"), "bfloat16");
  EXPECT_EQ(resolve_dtype("auto", "cpu"), "float32");
  EXPECT_EQ(resolve_dtype("bfloat16", "cpu"), "bfloat16");
}

TEST(Device, APlacementHasTheFormatAskedFor) {
  EXPECT_EQ(place_rank("cpu", "float32", 3).dtype, at::kFloat);
  EXPECT_EQ(place_rank("cpu", "bfloat16", 3).dtype, at::kBFloat16);
  EXPECT_EQ(place_rank("cpu", "float16", 3).dtype, at::kHalf);
}

TEST(Device, AGpuThatIsNotThereIsRefused) {
  if (why_no_gpu().empty()) GTEST_SKIP() << "there is one";
  for (const std::string& message : {refusal_message([] { resolve_device("cuda"); }),
                                     refusal_message([] { place_rank("cuda", "float32", 0); })})
    EXPECT_TRUE(says(message, {"run.device", why_no_gpu()}));
}

/// A device type that no library here serves, and which of its devices each thread has chosen.
class RecordedDevices : public c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::MTIA> {
 public:
  void setDevice(c10::Device device) const override { chosen = device.index(); }
  static thread_local int chosen;
};
thread_local int RecordedDevices::chosen = -1;

TEST(Device, IsTheThreadsOwnOnceItIsPrepared) {
  static const RecordedDevices recorded;
  const c10::impl::DeviceGuardImplRegistrar registered(c10::DeviceType::MTIA, &recorded);
  const int threads_before = at::get_num_threads();
  std::thread([] {
    prepare_thread({at::Device(at::kMTIA, 3), at::kFloat}, 1);
    EXPECT_EQ(RecordedDevices::chosen, 3);
    EXPECT_EQ(at::get_num_threads(), 1);
  }).join();
  EXPECT_EQ(RecordedDevices::chosen, -1) << "of this thread nothing was asked";
  prepare_thread(Placement{}, threads_before);
  EXPECT_EQ(at::get_num_threads(), threads_before);
}

TEST(Device, AThreadThatCannotHaveItsDeviceSaysSo) {
  struct Broken : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::MTIA> {
    void setDevice(c10::Device) const override {
      throw c10::AcceleratorError({"f", "file.cpp", 1}, 46, "CUDA error: device busy");
    }
  };
  static const Broken broken;
  const c10::impl::DeviceGuardImplRegistrar registered(c10::DeviceType::MTIA, &broken);
  EXPECT_THROW(prepare_thread({at::Device(at::kMTIA, 0), at::kFloat}, at::get_num_threads()),
               DeviceError);
}

TEST(Device, OfACpuHasNoGpuLibraries) {
  EXPECT_EQ(gpu_libraries(Placement{}).cuda, "");
  EXPECT_EQ(gpu_uuid(Placement{}), "");
}

}  // namespace
}  // namespace rvsweep
