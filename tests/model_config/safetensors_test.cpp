#include "rvsweep/model_config/safetensors.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

std::string header_length(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(length >> (8 * i)));
  return bytes;
}

/// A file of this header and as many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  return header_length(header.size()) + header + std::string(data_bytes, '\1');
}

json tensor(const std::string& dtype, const Shape& shape, std::uint64_t begin, std::uint64_t end) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

const json two_tensors = {{"__metadata__", {{"format", "pt"}}},
                          {"a", tensor("F32", {2, 3}, 0, 24)},
                          {"b", tensor("BF16", {4}, 24, 32)}};

class Safetensors : public ::testing::Test {
 protected:
  TensorIndex read(const std::string& bytes) {
    folder.write("model.safetensors", bytes);
    return read_safetensors_index(folder.path());
  }
  std::string refusal(const std::string& bytes) {
    return refusal_message([&] { read(bytes); });
  }
  std::string refusal(json header, std::size_t data_bytes) {
    return refusal(file_of(header.dump(), data_bytes));
  }
  std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  TemporaryFolder folder;
};

TEST_F(Safetensors, TellsWhereEveryTensorLies) {
  const auto index = read(file_of(two_tensors.dump(), 32));
  ASSERT_EQ(index.size(), 2u);
  const std::uint64_t data = 8 + two_tensors.dump().size();
  EXPECT_EQ(index.at("a").file, folder.path() / "model.safetensors");
  EXPECT_EQ(index.at("a").dtype, "F32");
  EXPECT_EQ(index.at("a").shape, (Shape{2, 3}));
  EXPECT_EQ(index.at("a").begin, data);
  EXPECT_EQ(index.at("a").end, data + 24);
  EXPECT_EQ(index.at("b").dtype, "BF16");
  EXPECT_EQ(index.at("b").begin, data + 24);
  EXPECT_EQ(index.at("b").end, data + 32);
}

TEST_F(Safetensors, TakesAPaddedHeaderScalarsAndEmptyTensors) {
  const json header = {{"s", tensor("F32", {}, 0, 4)}, {"e", tensor("F16", {0, 5}, 4, 4)}};
  const auto index = read(file_of(header.dump() + "     ", 4));
  EXPECT_EQ(index.at("s").shape, Shape{});
  EXPECT_EQ(index.at("e").begin, index.at("e").end);
}

TEST_F(Safetensors, AFolderWithoutWeightsIsNamed) {
  EXPECT_TRUE(says(refusal_message([&] { read_safetensors_index(folder.path()); }),
                   {folder.path().string(), "model.safetensors", "model.path"}));
}

TEST_F(Safetensors, AFolderInPlaceOfTheFileIsNamed) {
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  EXPECT_TRUE(says(refusal_message([&] { read_safetensors_index(folder.path()); }),
                   {path("model.safetensors"), "cannot be read"}));
}

TEST_F(Safetensors, AFileWithoutAWholeHeaderIsRefused) {
  const std::string whole = file_of(two_tensors.dump(), 32);
  for (const std::size_t size : {0u, 1u, 7u})
    EXPECT_TRUE(says(refusal(whole.substr(0, size)), {path("model.safetensors"), "shorter"}));
  for (const std::size_t size : {8u, 9u, 40u})
    EXPECT_TRUE(says(refusal(whole.substr(0, size)), {path("model.safetensors"), "header claims"}));
}

TEST_F(Safetensors, AnAbsurdHeaderLengthIsRefused) {
  for (const std::uint64_t length :
       {std::uint64_t{101}, std::uint64_t{1} << 32, std::uint64_t{1} << 63, ~std::uint64_t{0},
        ~std::uint64_t{0} - 7})
    EXPECT_TRUE(says(refusal(header_length(length) + std::string(100, ' ')),
                     {path("model.safetensors"), std::to_string(length), "108"}));
}

TEST_F(Safetensors, AHeaderThatIsNoJsonObjectIsRefused) {
  for (const std::string header :
       {"", "{", "tensors", "{\"a\": }", "\xff\xfe", "[1, 2]", "3", "null"})
    EXPECT_TRUE(says(refusal(file_of(header, 4)), {path("model.safetensors"), "header"})) << header;
}

TEST_F(Safetensors, WhatLiesInTheFilesPlaceIsNamed) {
  EXPECT_TRUE(says(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:7\nsize 9\n"),
                   {path("model.safetensors"), "Git LFS pointer", "git lfs pull"}));
  EXPECT_TRUE(says(refusal("<!DOCTYPE html><html><body>You need to agree</body></html>"),
                   {path("model.safetensors"), "web page"}));
}

TEST_F(Safetensors, AQuantisedDtypeIsNamed) {
  for (const char* dtype : {"U32", "F8_E8M0", "F4"})
    EXPECT_TRUE(
        says(refusal({{"a", tensor(dtype, {2}, 0, 8)}}, 8), {"tensor a", dtype, "quantised"}));
}

TEST_F(Safetensors, AMalformedEntryIsNamed) {
  const json good = tensor("F32", {2}, 0, 8);
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    json entry = good;
    entry.erase(key);
    EXPECT_TRUE(says(refusal({{"a", entry}}, 8), {"tensor a", "malformed"})) << key;
    entry[key] = 3;
    EXPECT_TRUE(says(refusal({{"a", entry}}, 8), {"tensor a", "malformed"})) << key;
  }
  for (const json& offsets : {json::array({0}), json::array({0, 4, 8}), json::array({"0", "8"})}) {
    json entry = good;
    entry["data_offsets"] = offsets;
    EXPECT_TRUE(says(refusal({{"a", entry}}, 8), {"tensor a"}));
  }
  json entry = good;
  entry["shape"] = {2.5};
  EXPECT_TRUE(says(refusal({{"a", entry}}, 8), {"tensor a"}));
  EXPECT_TRUE(says(refusal({{"a", "F32"}}, 8), {"tensor a", "malformed"}));
}

TEST_F(Safetensors, ATruncatedFileIsRefusedNamingTheTensor) {
  const std::string whole = file_of(two_tensors.dump(), 32);
  EXPECT_TRUE(says(refusal(whole.substr(0, whole.size() - 1)),
                   {path("model.safetensors"), "tensor b", "truncated"}));
  EXPECT_TRUE(says(refusal(whole.substr(0, whole.size() - 32)), {"tensor a", "truncated"}));
}

TEST_F(Safetensors, OffsetsOutsideTheFileOrBackwardsAreRefused) {
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {2}, 4, 12)}}, 8), {"tensor a", "outside"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {2}, 8, 0)}}, 8), {"tensor a"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {2}, ~0ull - 7, ~0ull)}}, 8), {"tensor a"}));
  json entry = tensor("F32", {2}, 0, 8);
  entry["data_offsets"] = {-8, 0};
  EXPECT_TRUE(says(refusal({{"a", entry}}, 8), {"tensor a"}));
}

TEST_F(Safetensors, ASizeThatDoesNotMatchIsRefused) {
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {3}, 0, 8)}}, 8), {"tensor a", "shape and dtype"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F64", {2}, 0, 8)}}, 8), {"tensor a", "shape and dtype"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {-2, -1}, 0, 8)}}, 8), {"tensor a", "negative"}));
}

TEST_F(Safetensors, AShapeWhoseSizeOverflowsIsRefused) {
  // 4 * 2^32 * 2^30 * 2 = 2^65 is 0 in 64 bits.
  const Shape huge{std::int64_t{1} << 32, std::int64_t{1} << 30, 2};
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", huge, 0, 0)}}, 0), {"tensor a", "too large"}));
}

TEST_F(Safetensors, AnUnknownDtypeIsNamed) {
  EXPECT_TRUE(says(refusal({{"a", tensor("F4", {2}, 0, 8)}}, 8), {"tensor a", "dtype F4"}));
}

TEST_F(Safetensors, OverlappingTensorsAreRefused) {
  EXPECT_TRUE(says(refusal({{"a", tensor("U8", {8}, 0, 8)}, {"b", tensor("U8", {8}, 7, 15)}}, 15),
                   {path("model.safetensors"), "share"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {2}, 0, 8)}, {"b", tensor("F32", {2}, 4, 12)}}, 12),
                   {path("model.safetensors"), "share"}));
  EXPECT_TRUE(says(refusal({{"a", tensor("F32", {2}, 0, 8)}, {"b", tensor("F32", {2}, 0, 8)}}, 8),
                   {path("model.safetensors"), "share"}));
}

class Shards : public Safetensors {
 protected:
  void SetUp() override {
    folder.write("one.safetensors", file_of(json{{"a", tensor("F32", {2}, 0, 8)}}.dump(), 8));
    folder.write("two.safetensors", file_of(json{{"b", tensor("F16", {3}, 0, 6)}}.dump(), 6));
    list({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  }
  void list(const json& weight_map) {
    folder.write(index_name,
                 json{{"metadata", {{"total_size", 14}}}, {"weight_map", weight_map}}.dump());
  }
  std::string refusal_of_folder() {
    return refusal_message([&] { read_safetensors_index(folder.path()); });
  }
  const std::string index_name = "model.safetensors.index.json";
};

TEST_F(Shards, AreReadAsOneIndex) {
  const auto index = read_safetensors_index(folder.path());
  ASSERT_EQ(index.size(), 2u);
  EXPECT_EQ(index.at("a").file, folder.path() / "one.safetensors");
  EXPECT_EQ(index.at("b").file, folder.path() / "two.safetensors");
  EXPECT_EQ(index.at("b").shape, (Shape{3}));
}

TEST_F(Shards, AFileBesideThemThatIsNoneOfThemIsNamed) {
  folder.write("model.safetensors", file_of(two_tensors.dump(), 32));
  EXPECT_TRUE(
      says(refusal_of_folder(), {path("model.safetensors"), path(index_name), "one.safetensors"}));
  std::filesystem::remove(folder.path() / "one.safetensors");  // also where the shards have gone
  EXPECT_TRUE(says(refusal_of_folder(), {path("model.safetensors"), path(index_name)}));
}

TEST_F(Shards, AMalformedIndexIsNamed) {
  for (const std::string text :
       {"", "{", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {"a": 3}})"}) {
    folder.write(index_name, text);
    EXPECT_TRUE(says(refusal_of_folder(), {path(index_name)})) << text;
  }
}

TEST_F(Shards, AMissingShardIsNamed) {
  std::filesystem::remove(folder.path() / "two.safetensors");
  EXPECT_TRUE(says(refusal_of_folder(), {path("two.safetensors"), "cannot be read"}));
}

TEST_F(Shards, ADamagedShardIsNamed) {
  folder.write("two.safetensors", "abc");
  EXPECT_TRUE(says(refusal_of_folder(), {path("two.safetensors"), "shorter"}));
}

TEST_F(Shards, ATensorThatTheIndexDoesNotListIsNamed) {
  list({{"a", "one.safetensors"}});
  // A shard that no tensor is listed in is none of this model's, like any other file of the folder.
  EXPECT_EQ(read_safetensors_index(folder.path()).size(), 1u);
  folder.write(
      "one.safetensors",
      file_of(json{{"a", tensor("F32", {2}, 0, 8)}, {"extra", tensor("F32", {1}, 8, 12)}}.dump(),
              12));
  EXPECT_TRUE(says(refusal_of_folder(), {path(index_name), "extra", "one.safetensors"}));
}

TEST_F(Shards, ATensorInAnotherShardThanListedIsNamed) {
  list({{"a", "two.safetensors"}, {"b", "one.safetensors"}});
  EXPECT_TRUE(says(refusal_of_folder(), {path(index_name), "one.safetensors"}));
}

TEST_F(Shards, AListedTensorThatIsMissingIsNamed) {
  list({{"a", "one.safetensors"}, {"b", "two.safetensors"}, {"c", "two.safetensors"}});
  EXPECT_TRUE(says(refusal_of_folder(), {path("two.safetensors"), "tensor c"}));
}

}  // namespace
}  // namespace rvsweep
