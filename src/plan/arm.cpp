#include "rvsweep/plan/arm.hpp"

#include <spdlog/fmt/fmt.h>

#include "plan/arm_text.hpp"
#include "plan/control.hpp"

namespace rvsweep {
namespace {

std::string format_heads(const std::vector<std::int64_t>& heads) {
  std::string text;
  for (const std::int64_t head : heads) text += (text.empty() ? "" : "+") + std::to_string(head);
  return heads.empty() ? "all" : text;
}

}  // namespace

std::string kind_name(const ArmSpec& arm) {
  switch (arm.kind) {
    case ArmKind::base:
      return "base";
    case ArmKind::source:
      return "source";
    case ArmKind::kv_cache:
      return "kv_cache";
    case ArmKind::site:
      return info_of(arm.site).name;
  }
  RVSWEEP_UNREACHABLE("an arm of unknown kind");
}

std::string ArmSpec::canonical() const {
  using arm_text::name_of;
  std::string text = kind_name(*this);
  if (!is_patched()) return text;
  text += " layers=" + format_layers(layers);
  if (kind == ArmKind::site) {
    text += " decode=" + name_of(arm_text::decode, decode) + " window=" + std::to_string(window) +
            " window_policy=" + name_of(arm_text::window_policy, window_policy);
  } else {
    text += " entry=" + name_of(arm_text::entry, entry) +
            " growth=" + name_of(arm_text::growth, growth) +
            " align=" + name_of(arm_text::align, align) + " what=" + name_of(arm_text::what, what) +
            " positions=" + format_positions(positions);
  }
  text += " heads=" + format_heads(heads) + " alpha=" + fmt::format("{}", alpha) +
          " direction=" + name_of(arm_text::direction, direction);
  if (!preset.empty()) text += " preset=" + preset;
  if (truncate_at != 0) text += " truncate=" + std::to_string(truncate_at);
  if (control != Control::none) text += " control=" + info_of(control).name;
  if (!control_of.empty()) text += " of=" + control_of;
  return text;
}

}  // namespace rvsweep
