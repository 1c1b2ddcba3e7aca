#include "rvsweep/plan/directions.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "plan/arm_text.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

constexpr std::size_t hash_digits = 16;

/// The '@' in front of a content's hash; npos without one.
std::size_t place_of_hash(const std::string& text) {
  const auto at = text.rfind('@');
  if (at == std::string::npos || text.size() - at - 1 != hash_digits) return std::string::npos;
  const auto other = text.find_first_not_of("0123456789abcdef", at + 1);
  return other == std::string::npos ? at : std::string::npos;
}

bool names_no_file(const std::string& text) {
  return text == direction::random || text.starts_with(direction::mean_difference) ||
         std::ranges::find(arm_text::direction, text) != arm_text::direction.end();
}

std::string unit_of(const Plan& plan, PromptIndex place) {
  const PlannedPrompt& prompt = plan.prompts[static_cast<std::size_t>(place.value)];
  const std::string& cluster = plan.cluster(prompt);
  return cluster.empty() ? "text " + hex(prompt.text_hash) : "cluster " + cluster;
}

struct Fitter {
  const Plan& plan;
  const ModelConfig& model;
  const std::string seed, name;
  std::map<std::string, bool> is_fitted = {};  // by unit

  /// Numbers of A and B in Plan::groups: names may hold '-' too.
  std::array<std::int32_t, 2> groups() const {
    const std::string text = name.substr(direction::mean_difference.size());
    const auto number = [&](const std::string& group) {
      const auto found = std::ranges::find(plan.groups, group);
      return found == plan.groups.end() ? -1
                                        : static_cast<std::int32_t>(found - plan.groups.begin());
    };
    for (auto at = text.find('-'); at != std::string::npos; at = text.find('-', at + 1)) {
      const std::array both{number(text.substr(0, at)), number(text.substr(at + 1))};
      if (both[0] >= 0 && both[1] >= 0 && both[0] != both[1]) return both;
    }
    throw InputError(
        "direction=" + name, "does not name two groups of the paired prompts",
        fmt::format("write mean_difference:A-B with two of {}", fmt::join(plan.groups, ", ")));
  }

  std::vector<PromptIndex> members(std::int32_t group) const {
    std::vector<PromptIndex> places;
    for (std::int32_t p = 0; p < std::ssize(plan.prompts); ++p) {
      const PlannedPrompt& prompt = plan.prompts[p];
      if (prompt.group == group && prompt.n_tokens > prompt.tokens_after_window &&
          prompt.n_tokens <= model.max_positions)
        places.emplace_back(p);
    }
    return places;
  }

  /// Prompts of B as the first of A that they have a pair with.
  void follow_pairs(std::int32_t a, std::int32_t b) {
    const auto group = [&](PromptIndex p) { return plan.prompts[p.value].group; };
    for (const PromptPair& pair : plan.pairs)
      for (const auto& [of_a, of_b] : {std::pair(pair.source, pair.base), {pair.base, pair.source}})
        if (group(of_a) == a && group(of_b) == b)
          if (const auto found = is_fitted.find(unit_of(plan, of_a)); found != is_fitted.end())
            is_fitted.emplace(unit_of(plan, of_b), found->second);
  }

  /// The half of what is not decided yet.
  void draw(const std::vector<PromptIndex>& prompts) {
    std::set<std::pair<std::uint64_t, std::string>> units;
    for (const PromptIndex prompt : prompts)
      if (const std::string unit = unit_of(plan, prompt); !is_fitted.contains(unit))
        units.emplace(xxh3_fields({seed, "direction", unit}), unit);
    std::size_t place = 0;
    for (const auto& [hash, unit] : units) is_fitted[unit] = place++ < units.size() / 2;
  }

  DirectionFit fit() {
    const auto [a, b] = groups();
    draw(members(a));
    follow_pairs(a, b);
    draw(members(b));
    DirectionFit result;
    for (const auto& [unit, fitted] : is_fitted)
      if (fitted) result.units.insert(unit);
    for (const std::size_t side : {0, 1}) {
      const std::int32_t group = side == 0 ? a : b;
      for (const PromptIndex place : members(group)) {
        if (!is_fitted.at(unit_of(plan, place))) continue;
        std::vector<std::int32_t> tokens = plan.tokens[static_cast<std::size_t>(place.value)];
        const PlannedPrompt& prompt = plan.prompts[static_cast<std::size_t>(place.value)];
        tokens.resize(static_cast<std::size_t>(prompt.n_tokens - prompt.tokens_after_window));
        result.prompts[side].push_back(std::move(tokens));
      }
      if (result.prompts[side].empty())
        throw InputError("direction=" + name,
                         "no prompt of group " + plan.groups[static_cast<std::size_t>(group)] +
                             " is left to fit it on beside those that it is tested on",
                         "give each group several prompts, of several clusters");
    }
    return result;
  }
};

}  // namespace

std::string with_hash(const std::string& text) {
  if (names_no_file(text) || place_of_hash(text) != std::string::npos) return text;
  const auto content = read_file(text);
  return content ? text + "@" + hex(xxh3(*content)) : text;
}

Donor parse_direction(const std::string& text) {
  Donor donor{.prompt = DonorPrompt::self, .direction = text};
  const auto at = place_of_hash(text);
  if (at != std::string::npos) {
    donor.file = text.substr(0, at);
    donor.direction = direction::file + text.substr(at + 1);
  } else if (!names_no_file(text)) {
    throw InputError("", "direction=" + text + " is no file that can be read",
                     fmt::format("write {}, mean_difference:A-B, random, or a safetensors or HDF5 "
                                 "file",
                                 fmt::join(arm_text::direction, ", ")));
  }
  return donor;
}

std::string mean_difference_of(std::string name) {
  if (name.starts_with(direction::drawn_like)) name.erase(0, direction::drawn_like.size());
  return name.starts_with(direction::mean_difference) ? name : "";
}

std::map<std::string, DirectionFit> direction_fits(const Plan& plan, const ModelConfig& model,
                                                   std::uint64_t seed) {
  std::map<std::string, DirectionFit> fits;
  for (const Arm& arm : plan.arms)
    for (const Patch& patch : arm.patches)
      if (const std::string name = mean_difference_of(patch.donor.direction);
          !name.empty() && !fits.contains(name))
        fits[name] = Fitter{plan, model, std::to_string(seed), name}.fit();
  return fits;
}

std::string untestable(const Plan& plan, const std::string& name, const PromptPair& pair) {
  const auto fit = plan.direction_fits.find(mean_difference_of(name));
  if (fit == plan.direction_fits.end()) return "";
  for (const auto& [prompt, side] : {std::pair(pair.source, "source"), {pair.base, "base"}})
    if (fit->second.units.contains(unit_of(plan, prompt)))
      return fmt::format("the pair's {} is one of the prompts that {} is fitted on", side,
                         fit->first);
  return "";
}

}  // namespace rvsweep
