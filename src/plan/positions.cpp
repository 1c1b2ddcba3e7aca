#include "rvsweep/plan/positions.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <span>

#include "plan/arm_text.hpp"
#include "plan/arm_values.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/text/named_spans.hpp"
#include "rvsweep/text/words.hpp"

namespace rvsweep {
namespace {

/// xxh3 of the shipped list's words with + between. It is written as the name of its file, by which
/// the row ids of the shipped jobs were made first.
constexpr std::uint64_t shipped_list = 0x2effa818116840b0;

[[noreturn]] void refuse(const std::string& text) {
  throw InputError("", "positions=" + text + " is not a choice",
                   "write all, first:k, last:k, span:i:j (0 <= i < j, counted from the end), "
                   "span:NAME, span:NAME:last, bos, not_bos, keywords:FILE or words:a+b; each:k "
                   "for the last k one by one");
}

std::int64_t whole_number(const std::string& number, const std::string& text) {
  const auto value = parse_number<std::int64_t>(number);
  if (!value || *value < 0) refuse(text);
  return *value;
}

/// Those of some tokens, ascending, that are among the first `cells`.
std::span<const std::int32_t> cells_of(const std::vector<std::int32_t>& tokens,
                                       std::int64_t cells) {
  return {tokens.begin(), std::ranges::lower_bound(tokens, cells)};
}

/// The last `most` cells of two spans, aligned at their ends; 0: as many as both have.
CellMap span_cells(std::int64_t most, std::span<const std::int32_t> base,
                   std::span<const std::int32_t> donor) {
  if (most > 0) donor = donor.last(std::min<std::size_t>(donor.size(), most));
  const auto both = std::min(donor.size(), base.size());
  CellMap map{{}, static_cast<std::int64_t>(donor.size() - both)};
  for (std::size_t i = 0; i < both; ++i)
    map.cells.push_back({donor[donor.size() - both + i], base[base.size() - both + i]});
  return map;
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
  if (parts.size() > 1 && parts[0] == "span" && is_span_name(parts[1])) {
    if (parts.size() > 3 || (parts.size() == 3 && parts[2] != "last")) refuse(text);
    return {PositionsKind::named, 0, std::ssize(parts) - 2, {}, parts[1]};
  }
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

std::vector<std::string> expand_positions(const std::string& text, std::int64_t window) {
  const auto parts = split(text, ':');
  if (parts[0] != "each") return {text};
  const std::int64_t count = parts.size() == 1 ? window : whole_number(parts[1], text);
  if (count < 1 || count > longest_window_tokens || parts.size() > 2) refuse(text);
  std::vector<std::string> places;
  for (std::int64_t d = 0; d < count; ++d) places.push_back(fmt::format("span:{}:{}", d, d + 1));
  return places;
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
  if (kind == named) return "span:" + positions.name + (positions.end == 0 ? "" : ":last");
  if (kind == span) return fmt::format("{}:{}:{}", name, positions.begin, positions.end);
  return kind == first || kind == last ? fmt::format("{}:{}", name, positions.end) : name;
}

CellMap map_cells(const Positions& positions, std::int64_t base_cells, std::int64_t donor_cells,
                  const ChosenTokens& tokens, bool replaces) {
  const std::int64_t shift = base_cells - donor_cells;  // right-aligned: base = donor + shift
  const std::int64_t shorter = std::min(base_cells, donor_cells);
  CellMap map;
  const auto add_or_drop = [&](std::int64_t donor, std::int64_t first_base) {
    if (donor + shift < first_base)
      ++map.dropped;
    else
      map.cells.push_back({donor, donor + shift});
  };
  switch (positions.kind) {
    case PositionsKind::all:
      for (std::int64_t j = 0; j < donor_cells; ++j) add_or_drop(j, replaces ? shift : 0);
      break;
    case PositionsKind::first:
    case PositionsKind::bos:
      for (std::int64_t i = 0; i < std::min(positions.end, shorter); ++i)
        map.cells.push_back({i, i});
      break;
    case PositionsKind::last:
    case PositionsKind::span:
      for (std::int64_t d = std::min(positions.end, shorter) - 1; d >= positions.begin; --d)
        map.cells.push_back({donor_cells - 1 - d, base_cells - 1 - d});
      break;
    case PositionsKind::not_bos:
      for (std::int64_t j = 1; j < donor_cells; ++j) add_or_drop(j, 1);
      break;
    case PositionsKind::keywords:
      for (const std::int32_t j : tokens.donor)
        if (j < donor_cells) add_or_drop(j, 0);
      break;
    case PositionsKind::named:
      return span_cells(positions.end, cells_of(tokens.base, base_cells),
                        cells_of(tokens.donor, donor_cells));
  }
  return map;
}

}  // namespace rvsweep
