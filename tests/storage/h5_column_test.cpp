#include "storage/h5_column.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep::h5 {
namespace {

class ColumnTest : public testing::TestWithParam<Chunking> {
 protected:
  /// Writes a column into a new file, closes it and reads it back.
  ColumnValues round_trip(const ColumnSpec& spec, const ColumnValues& values) {
    Handle file = create_file(path_);
    write_column(file, spec, values, GetParam());
    file.close("closing");
    return read_column(open_file(path_), spec);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "column.h5";
};

ColumnSpec spec_of(ColumnType type, std::vector<std::int64_t> shape) {
  return {"values", type, std::move(shape), "nats", "a column", "x 1"};
}

template <class Value>
void expect_same_bits(const ColumnValues& read, const std::vector<Value>& written) {
  const auto& values = std::get<std::vector<Value>>(read);
  ASSERT_EQ(values.size(), written.size());
  EXPECT_EQ(std::memcmp(values.data(), written.data(), values.size() * sizeof(Value)), 0);
}

TEST_P(ColumnTest, KeepsIntegersToTheirLimits) {
  const std::vector<std::int32_t> small{-1, 0, INT32_MIN, INT32_MAX};
  EXPECT_EQ(round_trip(spec_of(ColumnType::int32, {2}), small), ColumnValues(small));
  const std::vector<std::int64_t> large{INT64_MIN, INT64_MAX};
  EXPECT_EQ(round_trip(spec_of(ColumnType::int64, {}), large), ColumnValues(large));
  const std::vector<std::uint64_t> hashes{0, UINT64_MAX};
  EXPECT_EQ(round_trip(spec_of(ColumnType::uint64, {}), hashes), ColumnValues(hashes));
}

TEST_P(ColumnTest, KeepsEveryBitOfReals) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> floats{std::nanf("0x77"), -0.0f, infinity, 1e-45f, -infinity, 0.1f};
  expect_same_bits(round_trip(spec_of(ColumnType::float32, {1, 3}), floats), floats);
  const std::vector<double> doubles{sample::marked_nan(), -sample::marked_nan(), -0.0, 5e-324};
  expect_same_bits(round_trip(spec_of(ColumnType::float64, {}), doubles), doubles);
}

TEST_P(ColumnTest, KeepsTextOfAnyLengthAndScript) {
  const std::vector<std::string> texts{"", "\n", "γνῶθι 🙂", "", std::string(100000, 'x'),
                                       " "};
  EXPECT_EQ(round_trip(spec_of(ColumnType::utf8, {2}), texts), ColumnValues(texts));
  EXPECT_EQ(round_trip(spec_of(ColumnType::utf8, {}), std::vector<std::string>{"", ""}),
            ColumnValues(std::vector<std::string>{"", ""}));
  EXPECT_EQ(round_trip(spec_of(ColumnType::utf8, {}),
                       std::vector<std::string>{std::string("a\0b", 3), "\xff"}),
            ColumnValues(std::vector<std::string>{"a\u2400b", "\uFFFD"}));
}

TEST_P(ColumnTest, KeepsStatus) {
  const std::vector<std::int8_t> values{0, 1, 2, 3};
  EXPECT_EQ(round_trip(spec_of(ColumnType::status, {}), values), ColumnValues(values));
}

TEST_P(ColumnTest, KeepsColumnsWithoutItemsOrWithEmptyItems) {
  for (ColumnType type : {ColumnType::int32, ColumnType::float64, ColumnType::utf8,
                          ColumnType::status, ColumnType::uint64, ColumnType::float32_list}) {
    const ColumnSpec spec = spec_of(type, {4});
    EXPECT_EQ(round_trip(spec, fill_values(spec, 0)), fill_values(spec, 0));
  }
  const ColumnSpec empty_items = spec_of(ColumnType::float32, {3, 0});
  EXPECT_EQ(round_trip(empty_items, fill_values(empty_items, 2)), fill_values(empty_items, 2));
}

/// More texts and lists than are held at a time, so that they come in pieces.
constexpr std::int64_t in_pieces = 40000;

std::string text_at(std::int64_t i) { return std::string(static_cast<std::size_t>(i % 7), 'x'); }

std::vector<std::int32_t> list_at(std::int64_t i) {
  return std::vector<std::int32_t>(static_cast<std::size_t>(i % 5), static_cast<std::int32_t>(i));
}

TEST_P(ColumnTest, KeepsLists) {
  const std::vector<std::vector<std::int32_t>> lists{{}, {1}, {INT32_MAX, -1, 0}, {}};
  EXPECT_EQ(round_trip(spec_of(ColumnType::int32_list, {}), lists), ColumnValues(lists));
  EXPECT_EQ(round_trip(spec_of(ColumnType::int32_list, {2}), lists), ColumnValues(lists));
  const std::vector<float> reals{std::nanf("0x77"), -0.0f, 1e-45f};
  const auto read =
      round_trip(spec_of(ColumnType::float32_list, {}), std::vector<std::vector<float>>{{}, reals});
  const auto& of_reals = std::get<std::vector<std::vector<float>>>(read);
  ASSERT_EQ(of_reals.size(), 2);
  EXPECT_TRUE(of_reals[0].empty());
  expect_same_bits(ColumnValues(of_reals[1]), reals);
}

template <class ValueAt>
PieceOf piece_of(ValueAt value_at) {
  return [=](std::int64_t first, std::int64_t end) {
    std::vector<decltype(value_at(first))> values;
    for (std::int64_t i = first; i < end; ++i) values.push_back(value_at(i));
    return ColumnValues(values);
  };
}

TEST_P(ColumnTest, IsWrittenReadAndCopiedPieceByPiece) {
  const ColumnSpec texts = spec_of(ColumnType::utf8, {});
  const ColumnSpec lists{"lists", ColumnType::int32_list, {}, "1", "lists", ""};
  Handle file = create_file(path_);
  const Handle copy = ensure_group(file, "copy");
  for (const auto& [spec, piece] :
       {std::pair(texts, piece_of(text_at)), std::pair(lists, piece_of(list_at))}) {
    write_column(file, spec, in_pieces, piece, Chunking::none);
    copy_column(file, copy, spec, GetParam());
    for (const Handle* group : {static_cast<const Handle*>(&file), &copy}) {
      EXPECT_EQ(read_column(*group, spec), piece(0, in_pieces));
      EXPECT_EQ(read_items(open_dataset(*group, spec.name), spec, 16000, 500), piece(16000, 16500));
    }
  }
  std::int64_t i = 0;
  read_texts(copy, texts, [&](const std::string& text) { EXPECT_EQ(text, text_at(i++)); });
  EXPECT_EQ(i, in_pieces);
}

TEST_P(ColumnTest, IsWrittenBlockByBlockInAnyOrder) {
  const ColumnSpec spec = spec_of(ColumnType::float64, {3});
  std::vector<std::int64_t> items(40000);
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = static_cast<std::int64_t>(i);
  const ColumnValues whole = sample::values_of(spec, items);
  Handle file = create_file(path_);
  Handle dataset = create_column(file, spec, 40000, GetParam());
  for (std::int64_t first : {30000, 0, 10000, 20000}) {
    const std::vector<std::int64_t> part(items.begin() + first, items.begin() + first + 10000);
    write_items(dataset, spec, first, sample::values_of(spec, part));
  }
  dataset.close("closing");
  file.close("closing");
  expect_same_bits(read_column(open_file(path_), spec), std::get<std::vector<double>>(whole));
}

TEST_P(ColumnTest, CarriesItsUnitsDescriptionAndDefinition) {
  round_trip({"a/b", ColumnType::int32, {}, "nats", "what it is", "kl 1"},
             std::vector<std::int32_t>{1});
  const Handle file = open_file(path_);
  const Handle dataset = open_dataset(file, "a/b");
  EXPECT_EQ(read_text_attribute(dataset, "units"), "nats");
  EXPECT_EQ(read_text_attribute(dataset, "description"), "what it is");
  EXPECT_EQ(read_text_attribute(dataset, "definition"), "kl 1");
}

TEST_P(ColumnTest, RefusesAnotherTypeOrShape) {
  round_trip(spec_of(ColumnType::float32, {2}), std::vector<float>{1, 2});
  const Handle file = open_file(path_);
  EXPECT_THROW(read_column(file, spec_of(ColumnType::float64, {2})), Error);
  EXPECT_THROW(read_column(file, spec_of(ColumnType::float32, {})), Error);
  EXPECT_THROW(read_column(file, spec_of(ColumnType::float32, {1})), Error);
  EXPECT_NO_THROW(read_column(file, spec_of(ColumnType::float32, {2})));
}

TEST_P(ColumnTest, SameContentGivesTheSameBytes) {
  const auto bytes = [&](const char* name) {
    const std::filesystem::path path = folder_.path() / name;
    Handle file = create_file(path);
    for (const ColumnSpec& spec : sample::sweep().row_columns) {
      write_column(ensure_group(file, "a/b"), spec, sample::values_of(spec, {1, 2, 3}), GetParam());
    }
    file.close("closing");
    return read_file(path).value();
  };
  const std::string first = bytes("first.h5");
  // Times of objects would be stored in seconds.
  timespec pause{1, 100000000};
  nanosleep(&pause, nullptr);
  EXPECT_TRUE(first == bytes("second.h5"));
}

INSTANTIATE_TEST_SUITE_P(Chunkings, ColumnTest,
                         testing::Values(Chunking::none, Chunking::compressed));

TEST(Column, ValuesMustFitTheColumn) {
  const TemporaryFolder folder;
  const Handle file = create_file(folder.path() / "x.h5");
  const Handle dataset = create_column(file, spec_of(ColumnType::int32, {2}), 3, Chunking::none);
  const ColumnSpec spec = spec_of(ColumnType::int32, {2});
  EXPECT_THROW(write_items(dataset, spec, 0, std::vector<float>{1, 2}), ContractError);
  EXPECT_THROW(write_items(dataset, spec, 0, std::vector<std::int32_t>{1, 2, 3}), ContractError);
  EXPECT_THROW(write_items(dataset, spec, 2, std::vector<std::int32_t>{1, 2, 3, 4}), Error);
}

}  // namespace
}  // namespace rvsweep::h5
