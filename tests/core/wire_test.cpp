#include "rvsweep/core/wire.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <map>

namespace rvsweep {
namespace {

struct Letter {
  std::int32_t number = 0;
  std::string text;
  std::vector<std::vector<std::int16_t>> pages;
  std::optional<std::string> reply;
  bool operator==(const Letter&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.number, self.text, self.pages, self.reply);
  }
};

template <class T>
void expect_to_come_back(const T& sent) {
  EXPECT_EQ(from_bytes<T>(to_bytes(sent)), sent);
}

TEST(Wire, NumbersComeBackToTheBit) {
  expect_to_come_back(std::numeric_limits<std::uint64_t>::max());
  expect_to_come_back(std::numeric_limits<double>::denorm_min());
  expect_to_come_back(-0.1f);
  expect_to_come_back(true);
}

TEST(Wire, ContainersAndStructsComeBack) {
  const Letter full{-3, std::string("a\0b\xff", 4), {{1, 2}, {}, {3}}, "yes"}, blank{};
  expect_to_come_back(full);
  expect_to_come_back(blank);
  expect_to_come_back(Letter{1, "", {}, ""});
  expect_to_come_back(std::vector<Letter>{full, blank});
  expect_to_come_back(std::map<std::string, std::vector<Letter>>{{"a", {full}}, {"b", {}}});
  expect_to_come_back(std::array<std::vector<std::string>, 2>{{{"x", ""}, {}}});
}

TEST(Wire, ForeignAndTruncatedBytesAreRefused) {
  EXPECT_THROW(from_bytes<Letter>({}), ContractError);
  EXPECT_THROW(from_bytes<Letter>(Bytes(64, std::byte{0xc1})), ContractError);
  Bytes bytes = to_bytes(Letter{7, "text", {{1, 2}, {}, {3}}, "reply"});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(from_bytes<Letter>(std::span(bytes).first(size)), ContractError)
        << size << " of " << bytes.size() << " bytes";
  bytes.push_back(std::byte{0});
  EXPECT_THROW(from_bytes<Letter>(bytes), ContractError) << "a byte too many";
}

}  // namespace
}  // namespace rvsweep
