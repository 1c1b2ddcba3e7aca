#pragma once
// Headers of *.safetensors files: which tensor lies where. Reads no weights.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// One tensor of a safetensors file.
struct TensorEntry {
  std::filesystem::path file;
  std::string dtype;  // F32, BF16, F16, ...
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // byte offsets from the start of the file
  std::uint64_t end = 0;
};

using TensorIndex = std::map<std::string, TensorEntry>;

/// Every tensor of `folder`: model.safetensors, or the shards of model.safetensors.index.json.
/// Throws InputError naming file and tensor: missing file, truncated or inconsistent header,
/// offsets outside the file or overlapping, size not matching dtype and shape, index and shards
/// disagreeing.
TensorIndex read_safetensors_index(const std::filesystem::path& folder);

/// The parameters of a model of this shape, by their Hugging Face names.
std::map<std::string, std::vector<std::int64_t>> parameter_shapes(const ModelConfig& config);

/// Every parameter is there with its shape and a supported dtype (F32, BF16, F16), and every tensor
/// is used; throws InputError naming the first that is not. Rotary inv_freq buffers of old folders,
/// and the copy of a tied head, are the only tensors passed over.
void check_tensors(const ModelConfig& config, const TensorIndex& index);

}  // namespace rvsweep
