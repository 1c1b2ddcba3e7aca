#pragma once
// Headers of *.safetensors files: which tensor lies where. Reads no weights.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace rvsweep {

using Shape = std::vector<std::int64_t>;

/// One tensor of a safetensors file.
struct TensorEntry {
  std::filesystem::path file;
  std::string dtype;  // F32, BF16, F16, ...
  Shape shape;
  std::uint64_t begin = 0;  // byte offsets from the start of the file
  std::uint64_t end = 0;
};

using TensorIndex = std::map<std::string, TensorEntry>;

/// Every tensor of `folder`: model.safetensors, or the shards of model.safetensors.index.json.
/// Throws InputError naming file and tensor: missing file, truncated or inconsistent header,
/// offsets outside the file or overlapping, size not matching dtype and shape, index and shards
/// disagreeing.
TensorIndex read_safetensors_index(const std::filesystem::path& folder);

/// The same of one file.
TensorIndex read_safetensors_file(const std::filesystem::path& file);

}  // namespace rvsweep
