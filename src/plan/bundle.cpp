#include "rvsweep/plan/bundle.hpp"

#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {

std::vector<std::int64_t> slot_columns(const Bundle& bundle) {
  const auto n = static_cast<std::size_t>(bundle.shape.contexts) + bundle.derived.size();
  const std::int64_t T = bundle.shape.prompt_length;
  if (!are_long(T)) return std::vector<std::int64_t>(n, T);
  std::vector<std::int64_t> columns;
  for (const BundleContext& context : bundle.contexts) columns.push_back(context.columns);
  for (const DerivedDonor& donor : bundle.derived) columns.push_back(donor.tokens);
  return columns;
}

}  // namespace rvsweep
