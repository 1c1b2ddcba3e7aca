#include "plan/arms_of_pairs.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/text/pairing.hpp"

namespace rvsweep {

ArmsOfPairs::ArmsOfPairs(const Plan& plan, const std::string& prompts_file)
    : plan_(plan), allowed_(plan.arms.size()) {
  std::map<std::string, Groups> known;
  for (const PromptPair& pair : plan.pairs) {
    const auto [source, base] = groups_of(pair);
    known.emplace(plan.groups[source] + "~" + plan.groups[base], Groups(source, base));
  }
  for (std::size_t a = 0; a < plan.arms.size(); ++a) {
    const std::string& pairs = plan.arms[a].pairs;
    if (pairs.empty()) continue;
    const auto tilde = pairs.find('~');
    for (const auto& [name, groups] : known)
      if (stands_for(pairs.substr(0, tilde), plan.groups[groups.first]) &&
          stands_for(pairs.substr(tilde + 1), plan.groups[groups.second]))
        allowed_[a].insert(groups);
    if (!allowed_[a].empty() || plan.pairs.empty()) continue;
    std::vector<std::string> names;
    for (const auto& [name, groups] : known) names.push_back(name);
    throw InputError("arm \"" + plan.arms[a].label + "\"", "no pair is of pairs=" + pairs,
                     name_hint(pairs, names));
  }
  for (const PromptPair& pair : plan.pairs)
    check_labels(pair, fmt::format("{}:{}", prompts_file, pair.line));
}

ArmsOfPairs::Groups ArmsOfPairs::groups_of(const PromptPair& pair) const {
  return {plan_.prompts[pair.source.value].group, plan_.prompts[pair.base.value].group};
}

bool ArmsOfPairs::allows(std::int32_t arm, const PromptPair& pair) const {
  return plan_.arms[arm].pairs.empty() || allowed_[arm].contains(groups_of(pair));
}

void ArmsOfPairs::check_labels(const PromptPair& pair, const std::string& where) const {
  for (const std::string& label : pair.arms) {
    const auto arm = std::ranges::find_if(plan_.arms, [&](const Arm& candidate) {
      return candidate.control == Control::none && candidate.label == label;
    });
    if (arm == plan_.arms.end()) {
      std::vector<std::string> labels;
      for (const Arm& known : plan_.arms)
        if (known.control == Control::none) labels.push_back(known.label);
      throw InputError(where, "\"arms\": no arm has the label \"" + label + "\"",
                       name_hint(label, labels));
    }
    if (!allows(static_cast<std::int32_t>(arm - plan_.arms.begin()), pair))
      throw InputError(
          where, fmt::format("\"arms\": arm \"{}\" is for other pairs, {}", label, arm->pairs),
          "leave it out, or change pairs= of the arm");
  }
}

bool ArmsOfPairs::is_asked(std::int32_t arm, const PromptPair& pair) const {
  const Arm& asked = plan_.arms[arm];
  if (!asked.is_patched()) return true;
  return allows(arm, pair) &&
         (pair.arms.empty() ||
          std::ranges::find_first_of(asked.asked_by, pair.arms) != asked.asked_by.end());
}

}  // namespace rvsweep
