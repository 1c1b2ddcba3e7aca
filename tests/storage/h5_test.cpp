#include "storage/h5.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rvsweep/core/read_file.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep::h5 {
namespace {
using ::testing::AllOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

class H5 : public ::testing::Test {
 protected:
  /// What `fill` writes, reopened.
  template <class Fill>
  Handle written(Fill fill) const {
    Handle file = create_file(path);
    fill(file);
    file.close("closing");
    return open_file(path);
  }

  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "x.h5";
};

TEST_F(H5, AttributesKeepTheirValues) {
  const Handle file = written([](const Handle& h5) {
    write_attribute(h5, "text", std::string("γνῶθι"));
    write_attribute(h5, "int", std::int64_t{INT64_MIN});
    write_attribute(h5, "uint", std::uint64_t{UINT64_MAX});
    write_attribute(h5, "double", 0.1);
  });
  EXPECT_EQ(read_text_attribute(file, "text"), "γνῶθι");
  EXPECT_EQ(read_int_attribute(file, "int"), INT64_MIN);
  EXPECT_EQ(read_uint_attribute(file, "uint"), UINT64_MAX);
  EXPECT_EQ(read_double_attribute(file, "double"), 0.1);
  EXPECT_THAT([&] { read_int_attribute(file, "absent"); },
              ThrowsMessage<Error>(StartsWith("opening attribute absent failed (HDF5: ")));
}

TEST_F(H5, GroupsAreMadeWithTheirParentsAndFoundAgain) {
  const Handle file = written([](const Handle& h5) {
    ensure_group(h5, "a/b/c");
    write_attribute(ensure_group(h5, "a/b"), "n", std::int64_t{1});
    create_dataset(h5, "d/e/values", copy_of(H5T_STD_I32LE), {2}, 0);
  });
  EXPECT_EQ(object_paths(file),
            (std::vector<std::string>{"a", "a/b", "a/b/c", "d", "d/e", "d/e/values"}));
  EXPECT_EQ(read_int_attribute(open_group(file, "a/b"), "n"), 1);
  EXPECT_TRUE(has_dataset(file, "d/e/values"));
  EXPECT_FALSE(has_dataset(file, "d/e/others"));
  EXPECT_FALSE(has_dataset(file, "nowhere/e/values"));
  EXPECT_TRUE(is_dataset(file, "d/e/values"));
  EXPECT_FALSE(is_dataset(file, "d/e"));
}

TEST_F(H5, SlabsAreItemsOfTheFirstAxis) {
  const std::vector<int> values{1, 2, 3, 4, 5, 6};
  for (const hsize_t chunk_items : {0, 2}) {
    const Handle type = copy_of(H5T_NATIVE_INT);
    const Handle file = written([&](const Handle& h5) {
      const Handle dataset = create_dataset(h5, "values", type, {4, 3}, chunk_items);
      write_slab(dataset, type, 1, {2, 3}, values.data(), "writing");
      EXPECT_THAT(
          [&] {
            write_slab(dataset, type, 3, {2, 3}, values.data(), "writing");
          },
          ThrowsMessage<Error>(StartsWith("writing failed (HDF5: ")));
    });
    const Handle dataset = open_dataset(file, "values");
    EXPECT_EQ(extents_of(dataset), (std::vector<hsize_t>{4, 3}));
    std::vector<int> read(6);
    read_slab(dataset, type, 1, {2, 3}, read.data(), "reading");
    EXPECT_EQ(read, values);
    read_slab(dataset, type, 2, {2, 3}, read.data(), "reading");
    EXPECT_EQ(read, (std::vector<int>{4, 5, 6, 0, 0, 0}));
    EXPECT_TRUE(are_equal(type_of(dataset, "asking"), type, "comparing"));
    EXPECT_FALSE(are_equal(type_of(dataset, "asking"), text_type(), "comparing"));
  }
}

TEST_F(H5, TypesOfVariableLengthAreTextsAndLists) {
  EXPECT_TRUE(has_variable_length(text_type()));
  EXPECT_TRUE(has_variable_length(list_type(H5T_NATIVE_INT)));
  EXPECT_FALSE(has_variable_length(copy_of(H5T_NATIVE_INT)));
  const Handle names = enum_type({{"ok", std::int8_t{0}}, {"failed", std::int8_t{2}}});
  EXPECT_FALSE(has_variable_length(names));
  EXPECT_EQ(size_of(names), 1u);
}

TEST_F(H5, TheUserBlockIsLeftToTheCaller) {
  written([](const Handle&) {});
  const std::string bytes = read_file(path).value();
  ASSERT_GT(bytes.size(), user_block_bytes);
  EXPECT_EQ(bytes.substr(0, user_block_bytes), std::string(user_block_bytes, '\0'));
  EXPECT_EQ(bytes.substr(user_block_bytes, 4), "\x89HDF");
}

TEST_F(H5, ErrorsSayWhatFailedAndWhy) {
  EXPECT_THAT(
      [&] { open_file(path); },
      ThrowsMessage<Error>(Eq("opening the file failed (HDF5: No such file or directory)")));
  const Handle file = written([](const Handle&) {});
  EXPECT_THAT([&] { open_dataset(file, "absent"); },
              ThrowsMessage<Error>(
                  AllOf(StartsWith("opening dataset absent failed (HDF5: "), HasSubstr("exist"))));
}

TEST(StorableText, KeepsWellFormedText) {
  const std::string text = "a é ß \u0800 \uD7FF \uE000 \uFFFD \U00010000 \U0010FFFF 🙂\n\t\x7f";
  EXPECT_EQ(storable_text(text), text);
  EXPECT_EQ(storable_text(""), "");
}

TEST(StorableText, ShowsNulInsteadOfEndingThere) {
  EXPECT_EQ(storable_text(std::string("a\0b\0", 4)), "a\u2400b\u2400");
}

TEST(StorableText, ReplacesEveryByteThatIsNotUtf8) {
  const std::string bad = "\uFFFD";
  EXPECT_EQ(storable_text("a\x80z"), "a" + bad + "z");                  // stray continuation
  EXPECT_EQ(storable_text("\xC3"), bad);                                // cut short
  EXPECT_EQ(storable_text("\xE2\x82z"), bad + bad + "z");               // cut short inside
  EXPECT_EQ(storable_text("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(storable_text("\xE0\x9F\xBF"), bad + bad + bad);            // overlong
  EXPECT_EQ(storable_text("\xED\xA0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(storable_text("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
  EXPECT_EQ(storable_text("\xFF"), bad);
}

}  // namespace
}  // namespace rvsweep::h5
