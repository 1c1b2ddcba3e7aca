// model.safetensors, or after a first byte of 'i' its index.
#include "rvsweep/model_config/safetensors.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  const std::string_view all = testing::text_of(bytes, size);
  const bool is_index = all.starts_with('i');
  const auto file = testing::file_of(
      is_index ? "model.safetensors.index.json" : "model.safetensors", all.substr(is_index));
  const int result = testing::taken_or_refused([&] { read_safetensors_index(file.parent_path()); });
  std::filesystem::remove(file);
  return result;
}
