#include "rvsweep/core/read_file.hpp"

#include <fstream>
#include <utility>
#include <vector>

namespace rvsweep {

std::optional<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::nullopt;
  std::string bytes;
  std::vector<char> buffer(1 << 16);
  while (stream.read(buffer.data(), std::ssize(buffer)) || stream.gcount() > 0)
    bytes.append(buffer.data(), static_cast<std::size_t>(stream.gcount()));
  return stream.bad() ? std::nullopt : std::optional(std::move(bytes));
}

}  // namespace rvsweep
