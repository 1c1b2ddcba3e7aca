#include "rvsweep/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rvsweep {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Errors, OfInputSayWhereWhatAndWhatToDo) {
  EXPECT_STREQ(InputError("file:3", "is empty", "remove it").what(), "file:3: is empty: remove it");
  EXPECT_STREQ(InputError("", "is empty").what(), "is empty");
  EXPECT_EQ(InputError("file:3", "is empty").where(), "file:3");
}

TEST(Contracts, ThatAreBrokenSayWhatMustHoldAndThatItIsADefect) {
  const int two = 2;
  EXPECT_NO_THROW(RVSWEEP_EXPECT(two == 2, "two is two"));
  EXPECT_THAT([&] { RVSWEEP_EXPECT(two == 3, "two is three"); },
              ThrowsMessage<ContractError>(AllOf(HasSubstr("error_test.cpp:"),
                                                 HasSubstr("two is three (two == 3 does not hold)"),
                                                 HasSubstr("report this as a defect"))));
  EXPECT_THAT([] { RVSWEEP_UNREACHABLE("a third kind"); },
              ThrowsMessage<ContractError>(HasSubstr("a third kind (")));
}

}  // namespace
}  // namespace rvsweep
