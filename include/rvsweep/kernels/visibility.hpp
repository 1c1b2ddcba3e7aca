#pragma once
// Which cells of its cache a query attends to, as integers.
#include <compare>
#include <cstdint>
#include <vector>

namespace rvsweep {

/// Of one row. The query whose own cell lies in column p sees columns [first, p]; p itself always.
struct RowVisibility {
  std::int32_t first = 0;
  bool frozen = false;    // of the cells fed before it, columns [fed, p), none
  bool compound = false;  // columns [first, fed) count p - fed + 1 times each
  auto operator<=>(const RowVisibility&) const = default;
};

/// Of a batch, in layers that see alike.
struct Visibility {
  std::int64_t fed = 0;  // column of the first token fed after the prompts
  /// [B]; none where every query sees all columns up to its own, the first query's being 0.
  std::vector<RowVisibility> rows;
  auto operator<=>(const Visibility&) const = default;
};

/// The queries of one pass: `queries` per row, the first in `column`.
struct QueryColumns {
  std::int64_t column = 0, queries = 1;
  std::int64_t end() const { return column + queries; }  // columns that are seen, C
};

}  // namespace rvsweep
