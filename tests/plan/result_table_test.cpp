#include "rvsweep/plan/result_table.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace rvsweep {
namespace {

ColumnSpec column(ColumnType type, std::vector<std::int64_t> shape) {
  return {"c", type, std::move(shape), "1", "a column", ""};
}

TEST(ItemSize, IsTheProductOfTheShape) {
  EXPECT_EQ(item_size(column(ColumnType::int32, {})), 1);
  EXPECT_EQ(item_size(column(ColumnType::int32, {30, 16})), 480);
  EXPECT_EQ(item_size(column(ColumnType::int32, {30, 0})), 0);
}

TEST(FillValues, AreNaNForReals) {
  const auto floats =
      std::get<std::vector<float>>(fill_values(column(ColumnType::float32, {2, 3}), 4));
  ASSERT_EQ(floats.size(), 24u);
  for (float value : floats) EXPECT_TRUE(std::isnan(value));
  const auto doubles =
      std::get<std::vector<double>>(fill_values(column(ColumnType::float64, {}), 2));
  ASSERT_EQ(doubles.size(), 2u);
  for (double value : doubles) EXPECT_TRUE(std::isnan(value));
}

TEST(FillValues, AreMinusOneForSignedIntegersAndZeroForUnsigned) {
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(fill_values(column(ColumnType::int32, {2}), 2)),
            (std::vector<std::int32_t>{-1, -1, -1, -1}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(fill_values(column(ColumnType::int64, {}), 2)),
            (std::vector<std::int64_t>{-1, -1}));
  EXPECT_EQ(std::get<std::vector<std::uint64_t>>(fill_values(column(ColumnType::uint64, {}), 2)),
            (std::vector<std::uint64_t>{0, 0}));
}

TEST(FillValues, AreEmptyTextAndPendingStatus) {
  EXPECT_EQ(std::get<std::vector<std::string>>(fill_values(column(ColumnType::utf8, {}), 2)),
            (std::vector<std::string>{"", ""}));
  EXPECT_EQ(std::get<std::vector<std::int8_t>>(fill_values(column(ColumnType::status, {}), 1)),
            (std::vector<std::int8_t>{static_cast<std::int8_t>(RowStatus::pending)}));
}

TEST(FillValues, OfNoItemsIsEmpty) {
  EXPECT_TRUE(
      std::get<std::vector<double>>(fill_values(column(ColumnType::float64, {5}), 0)).empty());
}

}  // namespace
}  // namespace rvsweep
