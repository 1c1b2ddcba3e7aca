#include "rvsweep/plan/positions.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "plan/arm_text.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/text/words.hpp"

namespace rvsweep {
namespace {

/// xxh3 of the shipped list's words with + between. It is written as the name of its file, by which
/// the row ids of the shipped jobs were made first.
constexpr std::uint64_t shipped_list = 0x2effa818116840b0;

[[noreturn]] void refuse(const std::string& text) {
  throw InputError("", "positions=" + text + " is not a choice",
                   "write all, first:k, last:k, span:i:j (0 <= i < j, counted from the end), bos, "
                   "not_bos, keywords:FILE or words:a+b");
}

std::int64_t whole_number(const std::string& number, const std::string& text) {
  const auto value = parse_number<std::int64_t>(number);
  if (!value || *value < 0) refuse(text);
  return *value;
}

}  // namespace

Positions parse_positions(const std::string& text) {
  if (text == "all") return {};
  if (text == "bos") return {PositionsKind::bos, 0, 1};
  if (text == "not_bos") return {PositionsKind::not_bos};
  if (text.starts_with("words:")) {
    Positions positions{PositionsKind::keywords};
    for (const std::string& word : split(text.substr(6), '+')) {
      if (word.empty() || !std::ranges::all_of(word, in_word)) refuse(text);
      positions.words.insert(ascii_lower(word));
    }
    return positions;
  }
  const auto parts = split(text, ':');
  const auto number = [&](std::size_t i) { return whole_number(parts[i], text); };
  Positions positions;
  if (parts.size() == 2 && (parts[0] == "first" || parts[0] == "last"))
    positions = {parts[0] == "first" ? PositionsKind::first : PositionsKind::last, 0, number(1)};
  else if (parts.size() == 3 && parts[0] == "span")
    positions = {PositionsKind::span, number(1), number(2)};
  else
    refuse(text);
  if (positions.begin >= positions.end) refuse(text);
  return positions;
}

std::string format_positions(const Positions& positions) {
  using enum PositionsKind;
  const PositionsKind kind = positions.kind;
  const std::string& name = arm_text::name_of(arm_text::positions, kind);
  if (kind == keywords) {
    const std::string words = fmt::format("{}", fmt::join(positions.words, "+"));
    return xxh3(words) == shipped_list ? "keywords:jobs/prompts/self_words.txt"
                                       : name + ":" + words;
  }
  if (kind == span) return fmt::format("{}:{}:{}", name, positions.begin, positions.end);
  return kind == first || kind == last ? fmt::format("{}:{}", name, positions.end) : name;
}

CellMap map_cells(const Positions& positions, std::int64_t base_cached, std::int64_t donor_cached,
                  const std::vector<std::int32_t>& keyword_tokens) {
  const std::int64_t shift = base_cached - donor_cached;  // right-aligned: base = donor + shift
  const std::int64_t shorter = std::min(base_cached, donor_cached);
  CellMap map;
  const auto add_or_drop = [&](std::int64_t donor, std::int64_t first_base) {
    if (donor + shift < first_base)
      ++map.dropped;
    else
      map.cells.push_back({donor, donor + shift});
  };
  switch (positions.kind) {
    case PositionsKind::all:
      for (std::int64_t j = 0; j < donor_cached; ++j) map.cells.push_back({j, j + shift});
      break;
    case PositionsKind::first:
    case PositionsKind::bos:
      for (std::int64_t i = 0; i < std::min(positions.end, shorter); ++i)
        map.cells.push_back({i, i});
      break;
    case PositionsKind::last:
    case PositionsKind::span:
      for (std::int64_t d = std::min(positions.end, shorter) - 1; d >= positions.begin; --d)
        map.cells.push_back({donor_cached - 1 - d, base_cached - 1 - d});
      break;
    case PositionsKind::not_bos:
      for (std::int64_t j = 1; j < donor_cached; ++j) add_or_drop(j, 1);
      break;
    case PositionsKind::keywords:
      for (const std::int32_t j : keyword_tokens)
        if (j < donor_cached) add_or_drop(j, 0);
      break;
  }
  return map;
}

}  // namespace rvsweep
