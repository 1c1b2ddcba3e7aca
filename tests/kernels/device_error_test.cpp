#include "rvsweep/kernels/device_error.hpp"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"

namespace rvsweep {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

constexpr c10::SourceLocation here{"f", "file.cpp", 1};
const c10::Device second_gpu(c10::kCUDA, 1);

/// As libtorch throws what its checks find.
c10::Error libtorch_error(const std::string& text) { return c10::Error(here, text); }

template <class Error>
auto naming(const Error& error) {
  return [error] {
    return naming_device_errors(second_gpu, "take fewer rows", [&]() -> int { throw error; });
  };
}

TEST(DeviceErrors, AreNamedWithHostDeviceCauseAndWhatToDo) {
  EXPECT_THAT(naming(c10::AcceleratorError(
                  here, 710, "CUDA error: device-side assert triggered\nCompile with ...")),
              ThrowsMessage<DeviceError>(AllOf(
                  HasSubstr("cuda:1 of " + host_name() +
                            " fails (CUDA error: device-side assert triggered): "),
                  HasSubstr("nvidia-smi"), Not(HasSubstr("Compile")), Not(HasSubstr("file.cpp")))));
}

TEST(DeviceErrors, AreThoseAfterWhichEveryCallFails) {
  for (const char* text :
       {"CUDA error: an illegal memory access was encountered",
        "CUDA error: uncorrectable ECC error encountered", "CUDA driver error: unknown error",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`",
        "CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasSgemm(...)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "cusolver error: CUSOLVER_STATUS_EXECUTION_FAILED, when calling `cusolverDnSsyevd(...)`"}) {
    EXPECT_THAT(naming(libtorch_error(text)), ThrowsMessage<DeviceError>(HasSubstr(text)));
    EXPECT_FALSE(is_out_of_memory(libtorch_error(text))) << text;
  }
}

TEST(DeviceErrors, OfMemoryAreAKindOfTheirOwn) {
  const auto expect_memory_error = [](const auto& error) {
    EXPECT_TRUE(is_out_of_memory(error)) << error.what();
    EXPECT_THAT(naming(error), ThrowsMessage<DeviceMemoryError>(
                                   AllOf(HasSubstr("cuda:1"), HasSubstr("): take fewer rows"))));
  };
  expect_memory_error(c10::OutOfMemoryError(
      here, "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ..."));
  expect_memory_error(c10::AcceleratorError(here, 2, "CUDA error: out of memory"));
  expect_memory_error(
      libtorch_error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"));
  expect_memory_error(std::bad_alloc());
  expect_memory_error(libtorch_error("DefaultCPUAllocator: can't allocate memory: you tried ..."));
}

TEST(DeviceErrors, OthersStayWhatTheyAre) {
  for (const char* text :
       {"The size of tensor a (3) must match the size of tensor b (4)",
        "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul(...)`",
        "cuDNN error: CUDNN_STATUS_BAD_PARAM",
        "cusolver error: CUSOLVER_STATUS_INVALID_VALUE. This error may appear if the input matrix "
        "contains NaN."})
    EXPECT_THROW(naming(libtorch_error(text))(), c10::Error) << text;
  EXPECT_THROW(naming(std::out_of_range("vector"))(), std::out_of_range);
  EXPECT_THROW(naming(DeviceMemoryError("named before"))(), DeviceMemoryError);
  EXPECT_EQ(naming_device_errors(second_gpu, "", [] { return 7; }), 7);
}

TEST(DeviceErrors, ACpuKeepsItsMemory) { EXPECT_NO_THROW(empty_cache(c10::kCPU)); }

}  // namespace
}  // namespace rvsweep
