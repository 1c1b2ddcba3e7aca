#include "storage/dimension_scales.hpp"

#include <gtest/gtest.h>
#include <hdf5_hl.h>


#include "storage/h5_column.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
using h5::Handle;

/// Name of the scale of an axis, as the library has it.
std::string scale_of(const Handle& file, const std::string& path, unsigned axis) {
  const Handle dataset = h5::open_dataset(file, path);
  std::string found;
  const auto keep = [](hid_t, unsigned, hid_t scale, void* into) -> herr_t {
    char name[64] = "";
    H5DSget_scale_name(scale, name, sizeof name);
    *static_cast<std::string*>(into) += name;
    return 0;
  };
  EXPECT_GE(H5DSiterate_scales(dataset.id(), axis, nullptr, keep, &found), 0);
  return found;
}

void write_numbers(const Handle& file, const std::string& path, std::int64_t items,
                   std::vector<std::int64_t> shape = {}) {
  const ColumnSpec spec{path, ColumnType::int32, std::move(shape), "1", "numbers", ""};
  const auto size = static_cast<std::size_t>(items * item_size(spec));
  h5::write_column(file, spec, std::vector<std::int32_t>(size), h5::Chunking::none);
}

TEST(DimensionScales, NameEveryAxisAndLeaveOneOfAnotherLengthToItsDataset) {
  const TemporaryFolder folder;
  const Handle file = h5::create_file(folder.path() / "scales.h5");
  write_numbers(file, "rows/row_id", 3);
  write_numbers(file, "rows/logit_lens/tokens", 3, {2});
  write_numbers(file, "rows/spectra_prompt", 3, {4, 2});
  write_numbers(file, "rows/spectra_z", 3, {4, 5});  // of more values than a spectrum of V has
  write_numbers(file, "rows/own", 3, {6});
  write_numbers(file, "rows/attention_bos", 3, {4, 2});
  write_numbers(file, "rows/logit_lens_token", 3, {2, 5});
  write_numbers(file, "prompts/id", 7);
  write_numbers(file, "prompts/pr_corrected", 7, {4});
  attach_dimension_scales(file);

  EXPECT_EQ(scale_of(file, "rows/spectra_prompt", 0), "row_id");
  EXPECT_EQ(scale_of(file, "rows/spectra_prompt", 1), "layer");
  EXPECT_EQ(scale_of(file, "rows/spectra_prompt", 2), "rank");
  EXPECT_EQ(scale_of(file, "rows/spectra_z", 1), "layer");
  EXPECT_EQ(scale_of(file, "rows/spectra_z", 2), "spectra_z_axis_2");
  EXPECT_EQ(scale_of(file, "rows/own", 1), "own_axis_1");
  EXPECT_EQ(scale_of(file, "rows/logit_lens/tokens", 0), "row_id");
  EXPECT_EQ(scale_of(file, "rows/attention_bos", 1), "layer");
  EXPECT_EQ(scale_of(file, "rows/attention_bos", 2), "kv_head");
  EXPECT_EQ(scale_of(file, "rows/logit_lens_token", 1), "lens_layer");
  EXPECT_EQ(scale_of(file, "rows/logit_lens_token", 2), "likely_token");
  EXPECT_EQ(scale_of(file, "prompts/pr_corrected", 0), "id");
  EXPECT_EQ(scale_of(file, "prompts/pr_corrected", 1), "layer");
  const ColumnSpec layer{"layer", ColumnType::int32, {}, "1", "", ""};
  EXPECT_EQ(h5::read_values<std::int32_t>(file, layer), (std::vector<std::int32_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace rvsweep
