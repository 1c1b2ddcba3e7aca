#include "storage/dimension_scales.hpp"

#include <map>
#include <numeric>

#include "storage/h5_column.hpp"

namespace rvsweep {
namespace {
using h5::Handle;

/// The dataset that names the items of the tables in and below a group, where netCDF looks for it.
const std::map<std::string, std::string> item_scales{
    {"arms", "arms/label"},  {"pairs", "pairs/id"}, {"prompts", "prompts/id"},
    {"rows", "rows/row_id"}, {"run", "run/bundle"}, {"run/phases", "run/phases/rank"}};

/// Datasets of /run that have items of their own.
const std::map<std::string, std::string> own_scales{{"run/row_bundle", "run/row_bundle"},
                                                    {"run/phases/name", "run/phases/name"}};

/// Axes beyond the first, by how a column's name begins; the longest beginning counts.
const std::map<std::string, std::vector<std::string>> further_axes{
    {"attention_", {"layer", "kv_head"}},
    {"effective_rank", {"layer"}},
    {"gram_sums", {"layer", "gram_sum"}},
    {"logit_lens_", {"lens_layer", "likely_token"}},
    {"nuclear_ratio", {"layer"}},
    {"patch_", {"patch"}},
    {"pr", {"layer"}},
    {"seconds", {"run/phases/name"}},
    {"spectra", {"layer", "rank"}},
    {"spectral_entropy", {"layer"}},
    {"stable_rank", {"layer"}},
    {"state_distance", {"layer"}},
    {"step_pr", {"layer", "step"}},
    {"tokens", {"step"}},
    {"window_pr", {"window", "layer", "pr_kind"}}};

std::string item_scale_of(const std::string& path) {
  if (const auto own = own_scales.find(path); own != own_scales.end()) return own->second;
  for (auto slash = path.rfind('/'); slash != std::string::npos && slash > 0;
       slash = path.rfind('/', slash - 1))
    if (const auto found = item_scales.find(path.substr(0, slash)); found != item_scales.end())
      return found->second;
  return {};
}

/// By axis; empty where no table names one.
std::vector<std::string> scales_of(const std::string& path, std::size_t axes) {
  const std::string name = path.substr(path.rfind('/') + 1);
  std::vector<std::string> scales{item_scale_of(path)};
  for (const auto& [beginning, further] : further_axes)  // a longer one comes later
    if (name.starts_with(beginning)) {
      scales.resize(1);
      scales.insert(scales.end(), further.begin(), further.end());
    }
  scales.resize(axes);
  return scales;
}

/// The scale at `path`, written where there is none: 0, 1, ...
Handle scale_at(const Handle& file, const std::string& path, hsize_t size) {
  if (!h5::has_dataset(file, path)) {
    std::vector<std::int32_t> numbers(size);
    std::iota(numbers.begin(), numbers.end(), 0);
    h5::write_column(file, {path, ColumnType::int32, {}, "1", "number of the " + path, ""}, numbers,
                     h5::Chunking::none);
  }
  Handle scale = h5::open_dataset(file, path);
  h5::make_scale(scale, path.substr(path.rfind('/') + 1));
  return scale;
}

}  // namespace

void attach_dimension_scales(const Handle& file) {
  for (const std::string& path : h5::object_paths(file)) {
    if (!h5::is_dataset(file, path)) continue;
    const Handle dataset = h5::open_dataset(file, path);
    const auto extents = h5::extents_of(dataset);
    const auto scales = scales_of(path, extents.size());
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      // Of another length, as of a column that no table names, an axis is the dataset's own.
      const std::string own = path.substr(path.rfind('/') + 1) + "_axis_" + std::to_string(axis);
      const auto fits = [&](const std::string& scale) {
        return !scale.empty() &&
               (!h5::has_dataset(file, scale) ||
                h5::extents_of(h5::open_dataset(file, scale)) == std::vector{extents[axis]});
      };
      const std::string name = fits(scales[axis]) ? scales[axis] : own;
      const Handle scale = scale_at(file, name, extents[axis]);
      if (name != path) h5::attach_scale(dataset, scale, static_cast<unsigned>(axis));
    }
  }
}

}  // namespace rvsweep
