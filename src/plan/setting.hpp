#pragma once
// Settings of an arm as a config writes them.
#include <algorithm>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "plan/arm_text.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/plan/arm.hpp"

namespace rvsweep {

/// A setting of an arm: its default, what may be written, and what that does to the arm.
struct Setting {
  std::string name;
  std::string default_value;         // empty: must be given
  std::vector<std::string> choices;  // empty: free text
  std::function<void(Arm& arm, const std::string& text, const ModelConfig& model)> set;
};

/// The arm itself, or the target of its patch.
template <class Part>
Part& part_of(Arm& arm) {
  if constexpr (std::is_same_v<Part, Arm>)
    return arm;
  else
    return std::get<Part>(arm.patches.back().target);
}

/// A choice, which `names` lists in the order of its enum; its default is that of the field.
template <class Part, class Enum>
Setting choice(const std::string& name, const std::vector<std::string>& names, Enum Part::*field) {
  return {name, arm_text::name_of(names, Part{}.*field), names,
          [&names, field](Arm& arm, const std::string& text, const ModelConfig&) {
            const auto found = std::ranges::find(names, text);
            RVSWEEP_EXPECT(found != names.end(), "check_setting admits the choices only");
            part_of<Part>(arm).*field = static_cast<Enum>(found - names.begin());
          }};
}

}  // namespace rvsweep
