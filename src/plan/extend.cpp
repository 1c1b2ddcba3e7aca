#include "plan/extend.hpp"

#include <map>
#include <unordered_map>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// `numbers`: of the `n_before` items of `before`, by what `key_of` gives.
template <class Item, class Numbers, class KeyOf>
void number_items(std::vector<Item>& items, std::size_t n_before, const Numbers& numbers,
                  KeyOf key_of) {
  std::size_t kept = 0, next = n_before;
  for (Item& item : items) {
    if (const auto found = numbers.find(key_of(item)); found != numbers.end()) {
      item.number = found->second;
      ++kept;
    } else {
      item.number.value = static_cast<decltype(item.number.value)>(next++);
    }
  }
  RVSWEEP_EXPECT(kept == n_before, "an extension keeps every prompt and row of the smaller plan");
}

}  // namespace

void keep_numbers_and_bundles(const Plan& before, Plan& plan) {
  const auto key_of = [](const Plan& of, const PlannedPrompt& p) {
    const auto spans = of.spans.find(static_cast<std::size_t>(&p - of.prompts.data()));
    return std::tuple(p.text_hash, of.groups[static_cast<std::size_t>(p.group)], of.cluster(p),
                      spans == of.spans.end() ? "" : spans->second);
  };
  std::map<std::tuple<std::uint64_t, std::string, std::string, std::string>, PromptIndex> prompts;
  for (const auto& p : before.prompts) prompts.emplace(key_of(before, p), p.number);
  number_items(plan.prompts, before.prompts.size(), prompts,
               [&](const PlannedPrompt& p) { return key_of(plan, p); });
  plan.prompt_places = places_by_number<std::int32_t>(plan.prompts);
  std::unordered_map<std::uint64_t, RowIndex> rows;
  for (const auto& row : before.rows) rows.emplace(row.id.value, row.number);
  number_items(plan.rows, before.rows.size(), rows,
               [](const PlannedRow& row) { return row.id.value; });
  plan.row_places = places_by_number<std::int64_t>(plan.rows);
  plan.bundles = before.bundles;
}

}  // namespace rvsweep
