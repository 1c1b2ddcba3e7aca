#pragma once
// Which cells of a prompt's cache, or tokens of a prompt, a patch writes: `positions=` and what it
// means for two prompts. A token is the cell of a site.
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace rvsweep {

enum class PositionsKind { all, first, last, span, bos, not_bos, keywords, named };

/// `first` and `last` count `end` cells; `span` holds the cells whose distance d from the last one
/// satisfies begin <= d < end; `named` counts the last `end` tokens of a span of the prompts file,
/// 0: all.
struct Positions {
  PositionsKind kind = PositionsKind::all;
  std::int64_t begin = 0, end = 0;
  std::set<std::string> words = {};  // of keywords, as read_word_list gives them
  std::string name = {};             // of a named span

  /// Cells are counted from the first token, so that their keys need no rotation.
  bool left_aligned() const { return kind == PositionsKind::first || kind == PositionsKind::bos; }
  /// Whether no cell before the last n of any prompt is among them.
  bool lie_in_last(std::int64_t n) const {
    return (kind == PositionsKind::last || kind == PositionsKind::span) && end <= n;
  }
};

/// all | first:k | last:k | span:i:j | bos | not_bos | words:a+b | span:NAME | span:NAME:last.
/// Throws InputError (message only) for any other text, k < 1, i >= j and what is no word.
Positions parse_positions(const std::string& text);

/// "each:k" stands for span:0:1 to span:k-1:k, the last k cells one by one; "each" for as many as
/// `window`; any other text for itself. Throws InputError (message only) for k < 1.
std::vector<std::string> expand_positions(const std::string& text, std::int64_t window);

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

/// Tokens of two prompts that positions choose by what they say, ascending: of keywords the donor's
/// alone, of a named span both.
struct ChosenTokens {
  std::vector<std::int32_t> donor = {}, base = {};

  bool empty() const { return donor.empty() && base.empty(); }
  bool operator==(const ChosenTokens&) const = default;
  static auto fields(auto& self) { return std::tie(self.donor, self.base); }
};

/// The cells that `positions` selects for base and donor prompts of so many cells. `replaces`: with
/// `all` the donor's cells become the base's whole; otherwise those outside base are dropped.
/// Of a named span the last cell falls on the last one, and donor cells without a counterpart are
/// dropped.
CellMap map_cells(const Positions& positions, std::int64_t base_cells, std::int64_t donor_cells,
                  const ChosenTokens& tokens, bool replaces = true);

}  // namespace rvsweep
