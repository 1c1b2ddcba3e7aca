// That the test device itself refuses what a GPU refuses.
#include "support/test_device.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rvsweep {
namespace {

using testing::device_counts;
using ::testing::HasSubstr;
using testing::peak_bytes;
using testing::reset_peak;
using testing::test_device;

template <class Compute>
std::string error_of(const Compute& compute) {
  try {
    compute();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

TEST(TestDevice, OperatorsAndViewsGiveWhatTheHostGives) {
  const at::Tensor host = at::randn({3, 4, 6});
  const at::Tensor device = host.to(test_device());
  EXPECT_EQ(device.device(), test_device());
  const auto same = [](const at::Tensor& x, const at::Tensor& expected) {
    EXPECT_EQ(x.device(), test_device());
    EXPECT_TRUE(x.to(at::kCPU).equal(expected));
  };
  same(device.transpose(0, 2).narrow(1, 1, 2) * 2, host.transpose(0, 2).narrow(1, 1, 2) * 2);
  same(at::cat({device.select(1, 0), device.select(1, 3)}),
       at::cat({host.select(1, 0), host.select(1, 3)}));
  same(device.matmul(device.transpose(1, 2)), host.matmul(host.transpose(1, 2)));
  same(std::get<1>(device.sort(-1)), std::get<1>(host.sort(-1)));
  same(at::arange(5, device.options()), at::arange(5, host.options()));
}

TEST(TestDevice, WhatIsWrittenToAViewIsInItsTensor) {
  const at::Tensor device = at::zeros({3, 4}, at::TensorOptions().device(test_device()));
  device.narrow(1, 1, 2).add_(1).select(0, 2).fill_(5);
  device.select(0, 0).copy_(at::arange(4));
  const at::Tensor expected = at::zeros({3, 4});
  expected.narrow(1, 1, 2).fill_(1).select(0, 2).fill_(5);
  expected.select(0, 0).copy_(at::arange(4));
  EXPECT_TRUE(device.to(at::kCPU).equal(expected));
}

TEST(TestDevice, NewMemoryHoldsNan) {
  const at::Tensor x = at::empty({100}, at::TensorOptions().device(test_device()));
  EXPECT_TRUE(x.isnan().all().item<bool>());
}

TEST(TestDeviceDeathTest, TheHostMayNotTouchItsMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const at::Tensor x = at::zeros({4}, at::TensorOptions().device(test_device()));
  EXPECT_EXIT(x.data_ptr<float>()[0] = 1, ::testing::ExitedWithCode(1),
              "the host touched the memory of a device");
}

TEST(TestDevice, RefusesTensorsOfHostAndDeviceTogether) {
  const at::Tensor host = at::zeros({2}), device = host.to(test_device());
  EXPECT_NE(error_of([&] { device.add(host); }), "");
  EXPECT_THAT(error_of([&] { device.index_select(0, host.to(at::kLong)); }), HasSubstr("mixes"));
  EXPECT_THAT(error_of([&] { device.index({host.to(at::kLong)}); }), HasSubstr("mixes"));
  EXPECT_EQ(error_of([&] { device.add(at::ones({})); }), "");
}

TEST(TestDevice, RefusesAnIndexOutOfRangeAsCudaDoes) {
  const at::Tensor table = at::zeros({3, 2}).to(test_device());
  for (const int index : {-1, 3})
    EXPECT_THROW(at::embedding(table, at::full({1}, index, at::kLong).to(test_device())),
                 c10::AcceleratorError);
}

TEST(TestDevice, RefusesATensorOfADeviceThatIsNotTheCurrentOne) {
  const auto on_second = at::TensorOptions().device(test_device(1));
  EXPECT_THAT(error_of([&] { at::empty({2}, on_second); }), HasSubstr("current device"));
  at::Tensor x;
  {
    const c10::DeviceGuard guard(test_device(1));
    x = at::zeros({2}, on_second) + 1;
  }
  EXPECT_EQ(x.device(), test_device(1));
  EXPECT_THAT(error_of([&] { x.to(at::kCPU); }), HasSubstr("current device"));
  EXPECT_THAT(error_of([&] { x.index_select(0, x.to(at::kLong)); }), HasSubstr("current device"));
}

TEST(TestDevice, TakesOnlyWhatCudasAttentionTakes) {
  const auto options = at::TensorOptions().device(test_device()).dtype(at::kBFloat16);
  const at::Tensor q = at::zeros({1, 2, 3, 16}, options), mask = at::zeros({3, 3}, options);
  const auto attend = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& mask) {
    return error_of([&] { at::scaled_dot_product_attention(q, k, k, mask); });
  };
  EXPECT_EQ(attend(q, q, mask), "");
  EXPECT_THAT(attend(q, q, mask.to(at::kFloat)), HasSubstr("invalid dtype for bias"));
  EXPECT_THAT(attend(q, q, mask.t()), HasSubstr("gaps"));
  EXPECT_THAT(attend(q, at::zeros({1, 2, 16, 3}, options).transpose(2, 3), mask),
              HasSubstr("gaps"));
  const at::Tensor narrow = q.narrow(3, 0, 12);
  EXPECT_THAT(attend(narrow, narrow, mask), HasSubstr("16 bytes"));
}

TEST(TestDevice, CountsOperatorsCopiesAndWaits) {
  const at::Tensor host = at::zeros({4});
  const auto before = device_counts();
  const at::Tensor device = host.to(test_device());         // copy, wait
  const at::Tensor positive = device.view({2, 2}).t() > 0;  // operator
  device.view({2, 2}).index({positive});                    // two operators, wait for the size
  device.to(at::kCPU);                                      // copy, wait
  device.sum().item<float>();                               // two operators, wait for the number
  const auto counts = device_counts() - before;
  EXPECT_EQ(counts.operators, 5);
  EXPECT_EQ(counts.to_device, 1);
  EXPECT_EQ(counts.to_host, 3);
  EXPECT_EQ(counts.synchronisations, 4);
}

TEST(TestDevice, NonBlockingCopiesHappenAtASynchronisation) {
  const at::Tensor device = at::ones({3}).to(test_device());
  const at::Tensor host = at::zeros({3}, at::TensorOptions().pinned_memory(true));
  host.copy_(device, /*non_blocking=*/true);
  device.fill_(2);  // later on the same stream
  EXPECT_TRUE(host.equal(at::zeros({3})));
  testing::synchronise(test_device());
  EXPECT_TRUE(host.equal(at::ones({3})));

  device.copy_(host, /*non_blocking=*/true);
  host.fill_(7);
  EXPECT_THAT(error_of([] { testing::synchronise(test_device()); }), HasSubstr("host changed"));
}

TEST(TestDevice, CopiesOfMemoryThatIsNotPinnedWait) {
  const at::Tensor device = at::ones({3}).to(test_device()), host = at::zeros({3});
  const auto before = device_counts();
  host.copy_(device, /*non_blocking=*/true);
  EXPECT_TRUE(host.equal(at::ones({3})));
  device.copy_(host, /*non_blocking=*/true);
  EXPECT_EQ((device_counts() - before).synchronisations, 2);
}

TEST(TestDevice, KnowsTheMostBytesThatWereInUseAtOnce) {
  reset_peak(test_device());
  const auto before = peak_bytes(test_device());
  const auto zeros = [](std::int64_t n) {
    return at::zeros({n}, at::TensorOptions().device(test_device()).dtype(at::kByte));
  };
  const at::Tensor kept = zeros(1);
  zeros(1000);
  zeros(2000);
  EXPECT_EQ(peak_bytes(test_device()) - before, 512 + 2048);
  reset_peak(test_device());
  EXPECT_EQ(peak_bytes(test_device()) - before, 512);
}

}  // namespace
}  // namespace rvsweep
