#include "plan/change_settings.hpp"

#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/plan/directions.hpp"

namespace rvsweep {
namespace {

Setting operation_setting() {
  return {"op",
          "replace",
          {"replace", "add", "project_out", "scale"},
          [](Arm& arm, const std::string& text, const ModelConfig&) {
            const auto& names = arm_text::operation;
            part_of<SiteTarget>(arm).operation =
                static_cast<SiteOperation>(std::ranges::find(names, text) - names.begin());
          }};
}

Setting mix_setting() {
  return {"mix",
          "linear",
          {"linear", "spherical"},
          [](Arm& arm, const std::string& text, const ModelConfig&) {
            auto& site = part_of<SiteTarget>(arm);
            if (text == "linear") return;
            if (site.operation != SiteOperation::replace)
              throw InputError("", "mix belongs to op=replace", "remove one of the two");
            site.operation = SiteOperation::replace_on_sphere;
          }};
}

/// The number of an operation, which its default does not set.
Setting amount_setting(const std::string& name, const std::string& default_value,
                       SiteOperation of) {
  return {name, default_value, {}, [=](Arm& arm, const std::string& text, const ModelConfig&) {
            auto& site = part_of<SiteTarget>(arm);
            const bool of_norm = of == SiteOperation::add && text.ends_with('n');
            const auto amount =
                parse_number<double>(of_norm ? text.substr(0, text.size() - 1) : text);
            if (site.operation == of && amount && std::isfinite(*amount)) {
              site.amount = *amount;
              if (of_norm) site.operation = SiteOperation::add_of_norm;
            } else if (site.operation == of) {
              throw InputError("", name + "=" + text + " is no number",
                               of == SiteOperation::add
                                   ? "write a number, or 0.5n for half the values' own norm"
                                   : "write " + name + "= and a number");
            } else if (text != default_value) {
              throw InputError(
                  "", name + " belongs to op=" + arm_text::name_of(arm_text::operation, of),
                  "remove it, or write that op");
            }
          }};
}

std::int64_t parse_step(const std::string& name, const std::string& text) {
  const auto step = parse_number<std::int64_t>(text);
  if (!step || *step < 0)
    throw InputError("", name + "=" + text + " is no step of generation",
                     "write 0 for the prompt, t for the pass over the t-th new token");
  return *step;
}

/// A bound of SiteTarget::steps; `no_bound` is how its default is written.
Setting step_setting(const std::string& name, const std::string& no_bound,
                     std::int64_t Steps::*bound) {
  return {name, no_bound, {}, [=](Arm& arm, const std::string& text, const ModelConfig&) {
            if (text != no_bound) part_of<SiteTarget>(arm).steps.*bound = parse_step(name, text);
          }};
}

void check_steps(const Patch& patch) {
  const SiteTarget* const site = patch.site();
  if (site == nullptr || site->steps == Steps{}) return;
  if (site->decode != Decode::persist)
    throw InputError("", "from_step and until_step mean nothing with decode=prefill",
                     "write decode=persist, or remove them");
  if (site->steps.from >= site->steps.until)
    throw InputError("",
                     fmt::format("from_step={} is not below until_step={}, the first step without "
                                 "the patch",
                                 site->steps.from, site->steps.until),
                     "correct one of the two");
}

void check_operation(const Patch& patch) {
  const SiteTarget* const site = patch.site();
  if (site == nullptr) return;
  using enum SiteOperation;
  if (!replaces(site->operation) && patch.alpha != 1)
    throw InputError("", "alpha belongs to op=replace", "remove it, or write scale= with op=add");
  if (!patch.donor.direction.empty() && (replaces(site->operation) || site->operation == scale))
    throw InputError("", "a direction is added or projected out",
                     "write op=add or op=project_out beside it");
}

void check_at_step(const CacheTarget& cache) {
  if (cache.at_step > 0 && cache.growth != Growth::append)
    throw InputError("", "at_step needs growth=append: other growth begins with the first token",
                     "remove one of the two");
}

}  // namespace

Setting at_step_setting() {
  return {"at_step", "0", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            part_of<CacheTarget>(arm).at_step = parse_step("at_step", text);
          }};
}

std::vector<Setting> change_settings() {
  return {step_setting("from_step", "0", &Steps::from),
          step_setting("until_step", "end", &Steps::until),
          operation_setting(),
          mix_setting(),
          amount_setting("scale", "1", SiteOperation::add),
          amount_setting("factor", "none", SiteOperation::scale)};
}

bool is_direction_of_row(const std::string& text) {
  return std::ranges::find(arm_text::direction, text) != arm_text::direction.end();
}

Setting site_direction_setting(const Setting& of_row) {
  return {"direction",
          of_row.default_value,
          {},
          [of_row](Arm& arm, const std::string& text, const ModelConfig& model) {
            if (is_direction_of_row(text))
              of_row.set(arm, text, model);
            else
              arm.patches.back().donor = parse_direction(text);
          }};
}

Setting orthogonal_setting() {
  return {"orthogonal_to", "none", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            if (text == "none") return;
            Donor& donor = arm.patches.back().donor;
            if (donor.direction.empty() || is_direction_of_row(text))
              throw InputError("", "orthogonal_to=" + text + " needs two directions",
                               "write direction= and orthogonal_to= as vectors");
            Donor other = parse_direction(text);
            donor.direction += direction::orthogonal_to + other.direction;
            donor.files.merge(other.files);
          }};
}

void settle_change(Patch& patch) {
  if (patch.cache() != nullptr) check_at_step(*patch.cache());
  check_steps(patch);
  check_operation(patch);
  if (patch.site() != nullptr && !patch.site()->reads_donor())
    patch.donor.prompt = DonorPrompt::self;
}

}  // namespace rvsweep
