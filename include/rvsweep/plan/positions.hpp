#pragma once
// Which cells of a prompt's cache a kv_cache arm writes: `positions=` and what it means for two
// prompts.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace rvsweep {

enum class PositionsKind { all, first, last, span, bos, not_bos, keywords };

/// `first` and `last` count `end` cells; `span` holds the cells whose distance d from the last one
/// satisfies begin <= d < end.
struct Positions {
  PositionsKind kind = PositionsKind::all;
  std::int64_t begin = 0, end = 0;
  std::set<std::string> words = {};  // of keywords, as read_word_list gives them

  /// Cells are counted from the first token, so that their keys need no rotation.
  bool left_aligned() const { return kind == PositionsKind::first || kind == PositionsKind::bos; }
};

/// all | first:k | last:k | span:i:j | bos | not_bos | words:a+b. Throws InputError (message only)
/// for any other text, k < 1, i >= j and what is no word.
Positions parse_positions(const std::string& text);

/// As parse_positions reads it, words in their order and lower-cased; of the list that is shipped
/// the name of its file.
std::string format_positions(const Positions& positions);

/// A donor cell and the base cell that it is written to, both as token indices. With `all` the base
/// index may be negative: the donor's longer cache replaces the base's whole.
struct Cell {
  std::int64_t donor = 0, base = 0;
  bool operator==(const Cell&) const = default;
};

struct CellMap {
  std::vector<Cell> cells;   // by ascending base index
  std::int64_t dropped = 0;  // selected donor cells outside base
};

/// The cells that `positions` selects for base and donor prompts of so many cached cells.
/// `keyword_tokens`: ascending token indices of the donor, read by `keywords` alone.
CellMap map_cells(const Positions& positions, std::int64_t base_cached, std::int64_t donor_cached,
                  const std::vector<std::int32_t>& keyword_tokens);

}  // namespace rvsweep
