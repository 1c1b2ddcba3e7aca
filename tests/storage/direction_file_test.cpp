#include "rvsweep/storage/direction_file.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "storage/h5.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

class DirectionFile : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  std::filesystem::path safetensors(const std::string& header, const std::vector<float>& values) {
    std::string text(8, '\0');
    text[0] = static_cast<char>(header.size());
    return folder.write("d.safetensors",
                        text + header +
                            std::string(reinterpret_cast<const char*>(values.data()),
                                        values.size() * sizeof(float)));
  }
  std::string refusal(const std::filesystem::path& file, std::int64_t n_layers, std::int64_t dim) {
    return refusal_message([&] { read_direction(file, n_layers, dim); });
  }
  const std::string header = R"({"direction":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
};

TEST_F(DirectionFile, OfSafetensorsHoldsAVectorForEachLayer) {
  const std::vector<float> values{1, 2, 3, -4, 5.5, 6};
  const auto file = safetensors(header, values);
  EXPECT_EQ(read_direction(file, 2, 3), values);
  EXPECT_TRUE(says(refusal(file, 3, 2), {"d.safetensors", "[2, 3]", "[3, 2]"}));
}

TEST_F(DirectionFile, OfHdf5MayHoldAnyNumbers) {
  const auto path = folder.path() / "d.h5";
  const std::vector<double> values{1, 2, 3, -4, 5.5, 6};
  {
    h5::Handle file = h5::create_file(path);
    const h5::Handle type = h5::copy_of(H5T_NATIVE_DOUBLE);
    h5::Handle dataset = h5::create_dataset(file, "direction", type, {2, 3}, 0);
    h5::write_slab(dataset, type, 0, {2, 3}, values.data(), "writing");
    dataset.close("writing");
    file.close("writing");
  }
  EXPECT_EQ(read_direction(path, 2, 3), std::vector<float>(values.begin(), values.end()));
  EXPECT_TRUE(says(refusal(path, 2, 6), {"d.h5", "[2, 3]", "[2, 6]"}));
}

TEST_F(DirectionFile, IsRefusedWhereItHoldsNoDirection) {
  const float nan = std::nanf("");
  EXPECT_TRUE(says(refusal(safetensors(header, {1, 2, 3, nan, 5, 6}), 2, 3), {"not finite"}));
  EXPECT_TRUE(
      says(refusal(safetensors(R"({"other":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
                               {1, 2, 3, 4, 5, 6}),
                   2, 3),
           {"no tensor direction"}));
  EXPECT_TRUE(says(refusal(folder.write("d.h5", "no HDF5 at all"), 2, 3), {"d.h5"}));
}

}  // namespace
}  // namespace rvsweep
