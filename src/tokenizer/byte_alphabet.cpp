#include "tokenizer/byte_alphabet.hpp"

#include <array>

#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

constexpr bool writes_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Byte of each character, -1 outside the table. The 68 bytes that do not write themselves are
// U+0100 and following, in their order.
constexpr auto byte_of_character = [] {
  std::array<int, 0x144> table{};
  table.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) table[writes_itself(byte) ? byte : next++] = byte;
  return table;
}();

}  // namespace

TokenBytes bytes_of_token(std::string_view token) {
  TokenBytes result{"", true};
  result.bytes.reserve(token.size());
  for (std::size_t i = 0; i < token.size();) {
    const utf8::Step step = utf8::first(token.substr(i));
    const int byte =
        step.code_point < byte_of_character.size() ? byte_of_character[step.code_point] : -1;
    if (byte < 0) return {std::string(token), false};
    result.bytes.push_back(static_cast<char>(byte));
    i += step.size;
  }
  return result;
}

}  // namespace rvsweep
