#include "rvsweep/model_config/safetensors.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const copy_again = "the file is damaged; copy or download it again";

std::uint64_t dtype_size(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> sizes{
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},     {"I32", 4},
      {"I16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

TensorEntry parse_entry(const std::filesystem::path& file, const std::string& name,
                        const json& header, std::uint64_t data_begin, std::uint64_t file_size) {
  const std::string where = file.string() + " tensor " + name;
  const auto whole_numbers = [](const json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& number) {
             return number.is_number_integer();
           });
  };
  TensorEntry entry;
  entry.file = file;
  try {
    if (!whole_numbers(header.at("shape")) || !whole_numbers(header.at("data_offsets")))
      throw InputError(where, "its header entry is malformed", copy_again);
    entry.dtype = header.at("dtype").get<std::string>();
    entry.shape = header.at("shape").get<Shape>();
    const auto offsets = header.at("data_offsets").get<std::vector<std::uint64_t>>();
    if (offsets.size() != 2)
      throw InputError(where, "data_offsets are not two numbers", copy_again);
    entry.begin = offsets[0];
    entry.end = offsets[1];
  } catch (const json::exception&) {
    throw InputError(where, "its header entry is malformed", copy_again);
  }
  if (entry.begin > entry.end || entry.end > file_size - data_begin)
    throw InputError(where, "its bytes lie outside the file (the file is truncated)", copy_again);
  std::uint64_t bytes = dtype_size(entry.dtype);
  if (bytes == 0)
    throw InputError(where, "dtype " + entry.dtype + " is not supported",
                     "use float32, bfloat16 or float16 weights, not quantised ones");
  for (std::int64_t n : entry.shape) {
    if (n < 0) throw InputError(where, "its shape is negative", copy_again);
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(n), &bytes))
      throw InputError(where, "its shape is too large", copy_again);
  }
  if (bytes != entry.end - entry.begin)
    throw InputError(where, "its byte count does not match its shape and dtype", copy_again);
  entry.begin += data_begin;
  entry.end += data_begin;
  return entry;
}

void check_overlap(const std::filesystem::path& file, const TensorIndex& tensors) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [name, entry] : tensors) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      throw InputError(file.string(), "two tensors share bytes", copy_again);
}

}  // namespace

TensorIndex read_safetensors_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file))
    throw InputError(file.string(), "cannot be read", "model.path needs its weights");
  const std::uint64_t file_size = std::filesystem::file_size(file);
  std::uint64_t length = 0;  // little-endian, as the machine's own numbers
  if (!stream.read(reinterpret_cast<char*>(&length), sizeof length))
    throw InputError(file.string(), "is shorter than a safetensors header", copy_again);
  constexpr std::uint64_t header_limit = 100'000'000;  // of the safetensors format
  if (length > header_limit || length + 8 > file_size) {
    stream.seekg(0);
    std::string begin(32, ' ');
    stream.read(begin.data(), std::ssize(begin));
    refuse_stand_in(begin, file.string());
    throw InputError(file.string(),
                     "its header claims " + std::to_string(length) + " bytes of a file of " +
                         std::to_string(file_size),
                     copy_again);
  }
  std::string text(length, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(length));
  const json header = parse_json(text, file.string() + ", header", copy_again);
  if (!header.is_object())
    throw InputError(file.string(), "its header is not a JSON object", copy_again);
  TensorIndex tensors;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__")
      tensors.emplace(name, parse_entry(file, name, entry, 8 + length, file_size));
  check_overlap(file, tensors);
  return tensors;
}

namespace {

TensorIndex read_shards(const std::filesystem::path& folder, const std::filesystem::path& index) {
  const json object = parse_json(read_file(index).value_or(""), index.string(), copy_again);
  std::map<std::string, std::string> weight_map;
  try {
    weight_map = object.at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const json::exception&) {
    throw InputError(index.string(), "is malformed", copy_again);
  }
  std::set<std::string> shards;
  for (const auto& [name, shard] : weight_map) shards.insert(shard);
  // transformers reads the single file where both exist.
  const std::string single = "model.safetensors";
  for (const auto& shard : shards)
    if (shard != single && std::filesystem::exists(folder / single))
      throw InputError((folder / single).string(),
                       "lies beside " + index.string() + ", whose tensors are in " + shard,
                       "remove the weights that are not the model's, and the index if it is not");
  TensorIndex all;
  for (const auto& shard : shards) {
    for (auto& [name, entry] : read_safetensors_file(folder / shard)) {
      const auto listed = weight_map.find(name);
      if (listed == weight_map.end() || listed->second != shard)
        throw InputError(index.string(), "does not list tensor " + name + " of " + shard,
                         "index and shards must come from the same model");
      all.emplace(name, entry);
    }
  }
  for (const auto& [name, shard] : weight_map)
    if (!all.contains(name))
      throw InputError((folder / shard).string(), "lacks tensor " + name + " that the index lists",
                       "index and shards must come from the same model");
  return all;
}

}  // namespace

TensorIndex read_safetensors_index(const std::filesystem::path& folder) {
  const auto index = folder / "model.safetensors.index.json";
  const auto single = folder / "model.safetensors";
  if (std::filesystem::exists(index)) return read_shards(folder, index);
  if (!std::filesystem::exists(single))
    throw InputError(folder.string(), "holds neither model.safetensors nor its index",
                     "convert the weights to safetensors, or correct model.path");
  return read_safetensors_file(single);
}

}  // namespace rvsweep
