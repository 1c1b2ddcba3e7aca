#include "rvsweep/core/host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rvsweep {
namespace {

TEST(Host, IsNamedAsTheKernelNamesIt) {
  utsname system{};
  ASSERT_EQ(uname(&system), 0);
  EXPECT_EQ(host_name(), system.nodename);
}

TEST(Host, KnowsLivingFromDeadProcesses) {
  EXPECT_TRUE(process_is_alive(getpid()));
  EXPECT_TRUE(process_is_alive(1));
  EXPECT_FALSE(process_is_alive(2000000000));  // larger than the kernel hands out
  EXPECT_FALSE(process_is_alive(0));
  EXPECT_FALSE(process_is_alive(-1));
}

TEST(Host, AKilledProcessIsDeadBeforeItsParentWaitsForIt) {
  const pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  EXPECT_TRUE(process_is_alive(child));
  kill(child, SIGKILL);
  siginfo_t end{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(process_is_alive(child));
  waitpid(child, nullptr, 0);
}

TEST(Host, TimeIsWrittenInUtc) {
  EXPECT_THAT(utc_now(),
              ::testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
}

}  // namespace
}  // namespace rvsweep
