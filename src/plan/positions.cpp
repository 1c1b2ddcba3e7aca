#include "rvsweep/plan/positions.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw InputError("", "positions=" + text + " is not a choice",
                   "write all, first:k, last:k, span:i:j (0 <= i < j, counted from the end), bos, "
                   "not_bos or keywords:FILE");
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
  if (text.starts_with("keywords:")) {
    Positions positions{PositionsKind::keywords, 0, 0, text.substr(9)};
    if (positions.file.empty()) refuse(text);
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
  switch (positions.kind) {
    case PositionsKind::all:
      return "all";
    case PositionsKind::first:
      return "first:" + std::to_string(positions.end);
    case PositionsKind::last:
      return "last:" + std::to_string(positions.end);
    case PositionsKind::span:
      return "span:" + std::to_string(positions.begin) + ":" + std::to_string(positions.end);
    case PositionsKind::bos:
      return "bos";
    case PositionsKind::not_bos:
      return "not_bos";
    case PositionsKind::keywords:
      return "keywords:" + positions.file;
  }
  RVSWEEP_UNREACHABLE("positions of an unknown kind");
}

CellMap map_cells(const Positions& positions, std::int64_t base_cached, std::int64_t donor_cached,
                  const std::vector<std::int32_t>& keyword_tokens) {
  const std::int64_t shift = base_cached - donor_cached;  // right-aligned: base = donor + shift
  const std::int64_t shorter = std::min(base_cached, donor_cached);
  CellMap map;
  const auto add_from_the_end = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = std::min(end, shorter) - 1; d >= begin; --d)
      map.cells.push_back({donor_cached - 1 - d, base_cached - 1 - d});
  };
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
      add_from_the_end(positions.begin, positions.end);
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
