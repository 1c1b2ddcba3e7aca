#include "rvsweep/core/stop_signal.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace rvsweep {
namespace {

// Handlers and flag belong to the process, so each case has one of its own.
class StopSignal : public ::testing::TestWithParam<int> {};

TEST_P(StopSignal, FirstOneOnlySetsTheFlag) {
  EXPECT_EXIT(
      {
        install_stop_handlers();
        if (stop_requested()) std::_Exit(1);
        std::raise(GetParam());
        std::_Exit(stop_requested() ? 0 : 2);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_P(StopSignal, SecondOneEndsTheProcess) {
  EXPECT_EXIT(
      {
        install_stop_handlers();
        std::raise(SIGUSR1);
        std::raise(GetParam());
        std::_Exit(0);
      },
      ::testing::KilledBySignal(GetParam()), "");
}

INSTANTIATE_TEST_SUITE_P(All, StopSignal, ::testing::Values(SIGUSR1, SIGTERM, SIGINT, SIGHUP));

TEST(StopSignals, ThatNohupIgnoresStayIgnored) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        install_stop_handlers();
        std::raise(SIGHUP);
        std::_Exit(stop_requested() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace rvsweep
