#include "rvsweep/tokenizer/token_store.hpp"

#include <string>

namespace rvsweep {
namespace {

constexpr std::uint32_t payload = 0x7F, goes_on = 0x80;

}  // namespace

void TokenStore::add(std::span<const std::int32_t> tokens) {
  std::string bytes;
  bytes.reserve(tokens.size() * 3);
  for (const std::int32_t token : tokens) {
    auto rest = static_cast<std::uint32_t>(token);
    for (; rest > payload; rest >>= 7) bytes += static_cast<char>((rest & payload) | goes_on);
    bytes += static_cast<char>(rest);
  }
  packed_.add(bytes);
}

std::vector<std::int32_t> TokenStore::operator[](std::size_t index) const {
  const std::string_view bytes = packed_[index];
  std::vector<std::int32_t> tokens;
  tokens.reserve(bytes.size());
  std::uint32_t token = 0;
  int shift = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint32_t>(static_cast<unsigned char>(c));
    token |= (byte & payload) << shift;
    shift += 7;
    if (byte & goes_on) continue;
    tokens.push_back(static_cast<std::int32_t>(token));
    token = 0;
    shift = 0;
  }
  return tokens;
}

}  // namespace rvsweep
