#pragma once
// Which cells of its cache a query attends to, as integers.
#include <algorithm>
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
  std::vector<RowVisibility> rows = {};
  /// Of all those cells, each as often as it counts, a query sees the last so many, its own among
  /// them; 0: all. Copies of [first, fed) stand before the cells fed, as concatenation has them.
  std::int64_t window = 0;
  auto operator<=>(const Visibility&) const = default;
};

/// The first column that the query in column p of a row sees.
inline std::int64_t first_seen(const Visibility& seen, const RowVisibility& row, std::int64_t p) {
  if (seen.window == 0) return row.first;
  const std::int64_t end = row.frozen ? std::min(p, seen.fed) : p;  // of the cells before its own
  return std::max<std::int64_t>(row.first, end - seen.window + 1);
}

/// How often the query in column p of a row counts column c of [first_seen, fed).
inline std::int64_t times_seen(const Visibility& seen, const RowVisibility& row, std::int64_t p,
                               std::int64_t c) {
  if (!row.compound) return 1;
  const std::int64_t times = p - seen.fed + 1;
  if (seen.window == 0) return times;
  return std::min(times, (seen.window - 1 - (p - c)) / (seen.fed - row.first) + 1);
}

/// The queries of one pass: `queries` per row, the first in `column`.
struct QueryColumns {
  std::int64_t column = 0, queries = 1;
  std::int64_t end() const { return column + queries; }  // columns that are seen, C
};

}  // namespace rvsweep
