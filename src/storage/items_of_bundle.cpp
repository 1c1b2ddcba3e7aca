#include "storage/items_of_bundle.hpp"

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
  if (const auto twice = std::adjacent_find(held.begin(), held.end()); twice != held.end())
    return std::string("it holds ") + kind + " " + std::to_string(*twice) + " more than once";
  std::vector<std::int64_t> odd;
  std::set_difference(held.begin(), held.end(), planned.begin(), planned.end(),
                      std::back_inserter(odd));
  if (!odd.empty())
    return std::string("it holds ") + kind + " " + std::to_string(odd.front()) +
           ", which the plan does not give to it";
  std::set_difference(planned.begin(), planned.end(), held.begin(), held.end(),
                      std::back_inserter(odd));
  if (!odd.empty())
    return std::string("it lacks ") + kind + " " + std::to_string(odd.front()) +
           ", which the plan gives to it";
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
