#pragma once
// Strong index types: a row index cannot be passed where a bundle id is meant.
#include <compare>
#include <cstdint>

namespace rvsweep {

template <class Tag, class Value = std::int32_t>
struct Id {
  Value value{};
  constexpr Id() = default;
  constexpr explicit Id(Value v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
};

using PromptIndex = Id<struct PromptTag>;          // into Plan::prompts
using PairIndex = Id<struct PairTag>;              // into Plan::pairs
using ArmIndex = Id<struct ArmTag>;                // into Plan::arms
using RowIndex = Id<struct RowTag, std::int64_t>;  // into Plan::rows, plan order
using RowId = Id<struct RowIdTag, std::uint64_t>;  // hash of (pair id, canonical arm, sample)
using BundleId = Id<struct BundleTag>;             // into Plan::bundles

/// Highest token id that a tokenizer may use.
constexpr std::int32_t max_token_id = 1 << 24;

}  // namespace rvsweep
