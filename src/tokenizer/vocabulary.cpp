#include "tokenizer/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
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

std::string_view letter_of_byte(unsigned char byte) {
  static const auto letters = [] {
    std::array<std::string, 256> table;
    for (unsigned code = 0; code < byte_of_character.size(); ++code)
      if (const int of = byte_of_character[code]; of >= 0)
        table[of] = code < 0x80 ? std::string(1, static_cast<char>(code))
                                : std::string{static_cast<char>(0xC0 | code >> 6),
                                              static_cast<char>(0x80 | (code & 0x3F))};
    return table;
  }();
  return letters[byte];
}

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

Vocabulary::Vocabulary(const std::vector<std::pair<std::string, std::int64_t>>& tokens,
                       const std::string& where, Symbols symbols)
    : symbols_(symbols), n_tokens_(static_cast<std::int32_t>(tokens.size())) {
  std::int64_t largest = -1;
  for (const auto& [token, id] : tokens) {
    if (id < 0 || id > max_token_id)
      throw InputError(where, "token \"" + token + "\" has the id " + std::to_string(id),
                       "ids go from 0 to " + std::to_string(max_token_id));
    largest = std::max(largest, id);
  }
  bytes_.resize(largest + 1);
  slots_.assign(std::bit_ceil(tokens.size() * 2 + 1), Slot{0, -1});
  std::vector<bool> taken(bytes_.size());
  for (const auto& [token, id] : tokens) {
    if (taken[id]) throw InputError(where, "two tokens have the id " + std::to_string(id));
    taken[id] = true;
    auto [bytes, in_alphabet] = parsed(token);
    bytes_[id] = std::move(bytes);
    const auto token_id = static_cast<std::int32_t>(id);
    if (!(in_alphabet ? insert(token_id) : other_.emplace(token, token_id).second))
      throw InputError(where, "token \"" + token + "\" is there twice");
  }
}

TokenBytes Vocabulary::parsed(std::string_view token) const {
  return symbols_ == Symbols::bytes ? bytes_of_token(token)
                                    : TokenBytes{std::string(token), /*in_alphabet=*/true};
}

std::string_view Vocabulary::bytes(std::int32_t id) const {
  return id >= 0 && id < size() ? std::string_view(bytes_[id]) : std::string_view();
}

const Vocabulary::Slot& Vocabulary::slot_of(std::string_view bytes) const {
  const auto hash = static_cast<std::uint32_t>(xxh3(bytes));
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  while (slots_[slot].id >= 0 && (slots_[slot].hash != hash || bytes_[slots_[slot].id] != bytes))
    slot = (slot + 1) & mask;
  return slots_[slot];
}

bool Vocabulary::insert(std::int32_t id) {
  const std::size_t slot = &slot_of(bytes_[id]) - slots_.data();
  if (slots_[slot].id >= 0) return false;
  slots_[slot] = {static_cast<std::uint32_t>(xxh3(bytes_[id])), id};
  return true;
}

std::optional<std::int32_t> Vocabulary::id_of_bytes(std::string_view bytes) const {
  const Slot& slot = slot_of(bytes);
  return slot.id >= 0 ? std::optional(slot.id) : std::nullopt;
}

std::optional<std::int32_t> Vocabulary::id_of_token(std::string_view token) const {
  const auto [bytes, in_alphabet] = parsed(token);
  if (in_alphabet) return id_of_bytes(bytes);
  const auto found = other_.find(bytes);
  return found != other_.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace rvsweep
