#pragma once
// When a patch acts, and what one of a site does to its values, along which direction.
#include "plan/setting.hpp"

namespace rvsweep {

/// from_step, until_step, op, mix, scale, factor.
std::vector<Setting> change_settings();

/// at_step, of the cache.
Setting at_step_setting();

/// direction= of a site: `of_row`, or vectors in place of a donor; and orthogonal_to= behind it.
Setting site_direction_setting(const Setting& of_row);
Setting orthogonal_setting();

/// Whether direction= says in which way the row's pair is patched.
bool is_direction_of_row(const std::string& text);

/// After its settings: the donor of what reads none. Throws InputError (message only) for settings
/// that mean nothing beside each other.
void settle_change(Patch& patch);

}  // namespace rvsweep
