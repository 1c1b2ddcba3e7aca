#include "storage/items_of_bundle.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace rvsweep {
namespace {

template <class NumberOf>
std::vector<std::vector<std::int64_t>> by_bundle(const std::vector<std::int32_t>& item_bundle,
                                                 std::int32_t n_bundles, NumberOf number_of) {
  std::vector<std::vector<std::int64_t>> items(static_cast<std::size_t>(n_bundles));
  for (std::size_t item = 0; item < item_bundle.size(); ++item) {
    if (item_bundle[item] == no_bundle) continue;
    items[static_cast<std::size_t>(item_bundle[item])].push_back(number_of(item));
  }
  for (auto& held : items) std::sort(held.begin(), held.end());
  return items;
}

std::optional<std::string> difference(const char* kind, std::vector<std::int64_t> held,
                                      const std::vector<std::int64_t>& planned) {
  std::sort(held.begin(), held.end());
  if (const auto twice = std::ranges::adjacent_find(held); twice != held.end())
    return fmt::format("it holds {} {} more than once", kind, *twice);
  std::vector<std::int64_t> odd;
  std::ranges::set_difference(held, planned, std::back_inserter(odd));
  if (!odd.empty())
    return fmt::format("it holds {} {}, which the plan does not give to it", kind, odd.front());
  std::ranges::set_difference(planned, held, std::back_inserter(odd));
  if (!odd.empty())
    return fmt::format("it lacks {} {}, which the plan gives to it", kind, odd.front());
  return std::nullopt;
}

}  // namespace

ItemsOfBundle::ItemsOfBundle(const BundleOfItem& items)
    : prompts(by_bundle(items.prompt_bundle, items.n_bundles,
                        [&](std::size_t prompt) { return items.number_of_prompt(prompt); })),
      rows(by_bundle(items.row_bundle, items.n_bundles,
                     [&](std::size_t row) { return items.number_of_row(row); })) {}

std::optional<std::string> items_problem(const SoundSegment& segment,
                                         const ItemsOfBundle& planned) {
  const auto bundle = static_cast<std::size_t>(segment.bundle.value);
  if (bundle >= planned.rows.size()) return "the plan has no such bundle";
  if (auto problem = difference("prompt", segment.prompts, planned.prompts[bundle])) return problem;
  return difference("row", segment.rows, planned.rows[bundle]);
}

}  // namespace rvsweep
