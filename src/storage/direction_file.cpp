#include "rvsweep/storage/direction_file.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model_config/safetensors.hpp"
#include "storage/h5.hpp"

namespace rvsweep {
namespace {

const char* const wanted = "\"direction\" holds one vector for each layer, [n_layers, dim]";

void check_shape(const std::filesystem::path& file, const Shape& shape, const Shape& expected) {
  if (shape != expected)
    throw InputError(file.string(),
                     fmt::format("its direction has the shape [{}], the model's site has [{}]",
                                 fmt::join(shape, ", "), fmt::join(expected, ", ")),
                     wanted);
}

std::vector<float> read_safetensors(const std::filesystem::path& file, const Shape& expected) {
  const TensorIndex tensors = read_safetensors_file(file);
  const auto found = tensors.find("direction");
  if (found == tensors.end()) throw InputError(file.string(), "has no tensor direction", wanted);
  if (found->second.dtype != "F32")
    throw InputError(file.string(), "its direction is " + found->second.dtype,
                     "save it as float32");
  check_shape(file, found->second.shape, expected);
  std::vector<float> values((found->second.end - found->second.begin) / sizeof(float));
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(found->second.begin));
  if (!stream.read(reinterpret_cast<char*>(values.data()),
                   static_cast<std::streamsize>(values.size() * sizeof(float))))
    throw InputError(file.string(), "cannot be read", "copy it again");
  return values;
}

std::vector<float> read_hdf5(const std::filesystem::path& file, const Shape& expected) {
  try {
    const h5::Handle opened = h5::open_file(file);
    if (!h5::has_dataset(opened, "direction"))
      throw InputError(file.string(), "has no dataset direction", wanted);
    const h5::Handle dataset = h5::open_dataset(opened, "direction");
    const std::vector<hsize_t> extents = h5::extents_of(dataset);
    check_shape(file, {extents.begin(), extents.end()}, expected);
    std::vector<float> values(extents[0] * extents[1]);
    h5::read_slab(dataset, h5::copy_of(H5T_NATIVE_FLOAT), 0, extents, values.data(),
                  "reading the direction");
    return values;
  } catch (const h5::Error& error) {
    throw InputError(file.string(), error.what(), "give a safetensors or HDF5 file");
  }
}

}  // namespace

std::vector<float> read_direction(const std::filesystem::path& file, std::int64_t n_layers,
                                  std::int64_t dim) {
  const Shape expected{n_layers, dim};
  const std::vector<float> values = file.extension() == ".safetensors"
                                        ? read_safetensors(file, expected)
                                        : read_hdf5(file, expected);
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
    throw InputError(file.string(), "its direction holds a value that is not finite", wanted);
  return values;
}

}  // namespace rvsweep
