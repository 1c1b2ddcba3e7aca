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
using Rank = Id<struct RankTag>;                   // of the MPI world

}  // namespace rvsweep
