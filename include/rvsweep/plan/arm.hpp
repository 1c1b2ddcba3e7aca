#pragma once
// Arms: what is done to a pair. One `arm =` line of a config stands for one or several of them, one
// `control =` line for a control of every patched arm. Settings and defaults are one table in
// arm_forms.cpp, controls one in control.cpp.
#include <cstdint>
#include <string>
#include <vector>

#include "plan/positions.hpp"
#include "rvsweep/model_config/site.hpp"
#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/plan/layers.hpp"

namespace rvsweep {

/// `site`: values of a site (v_proj, resid_pre, ...) replaced inside the forward pass; `kv_cache`:
/// the prompt's cache edited.
enum class ArmKind { base, source, site, kv_cache };
enum class Decode { prefill, persist };          // site: prompt rows only | every fed token too
enum class WindowPolicy { refuse, shrink };      // site, with a prompt shorter than the window
enum class Entry { hold_last, refeed };          // kv_cache: b[n-1] fed once at n-1 | again at n
enum class Growth { append, frozen, compound };  // kv_cache: what fed tokens do to patched layers
enum class Align { as_is, rerotate, matched };   // kv_cache: the rotation of donor keys
enum class What { kv, k, v };                    // kv_cache: the components written
enum class Direction { source_to_base, base_to_source };

/// What a control does instead of giving the pair's own donor (see control.cpp).
enum class Control {
  none,
  self,
  full_swap,
  other_base,
  other_source,
  filler,
  gaussian,
  shuffled,
  zero,
  mean,
  wrong_band,
  reverse
};

struct ArmSpec {
  ArmKind kind = ArmKind::base;
  Site site = Site::v;  // kind site only
  std::string label;    // short and unique; shown in reports
  std::string preset;   // "" or notebook_b, notebook_c_v1, notebook_c_v2
  LayerSet layers;      // patched layers; empty for base and source
  Decode decode = Decode::prefill;
  WindowPolicy window_policy = WindowPolicy::refuse;
  std::int64_t window = 0;  // tokens; site only
  Entry entry = Entry::hold_last;
  Growth growth = Growth::append;
  Align align = Align::rerotate;
  What what = What::kv;
  Positions positions;
  std::vector<std::int64_t> heads;  // ascending; empty = all
  double alpha = 1;                 // 0..1, share of the donor
  Direction direction = Direction::source_to_base;
  std::int64_t truncate_at = 0;  // prompts are cut to this many tokens first; 0 = never
  Control control = Control::none;
  std::string control_of;  // wrong_band: the layers of the arm that it belongs to
  std::string refusal;     // why no row of this arm can run; empty where some can

  bool is_patched() const { return kind == ArmKind::site || kind == ArmKind::kv_cache; }
  /// Full text with every setting resolved; equal text means equal rows (for equal keyword files).
  std::string canonical() const;
};

/// "base", "kv_cache", "v_proj", "resid_pre", ... as written in configs and stored in /arms/kind.
std::string kind_name(const ArmSpec& arm);

/// The arms of `lines`, in order; `,` in a value stands for one arm each. Throws InputError naming
/// file, line and setting: unknown arm or setting (with the nearest known one), a setting that
/// means nothing for its arm, layers or heads outside the model, two equal arms or labels.
std::vector<ArmSpec> parse_arms(const std::vector<ConfigValue>& lines, const ModelConfig& model,
                                std::int64_t window);

/// The controls of `lines` ("self, gaussian control_of=LABEL") for `arms`, control by control, arm
/// by arm. Throws InputError naming file and line: an unknown control, label, or a control asked
/// for twice.
std::vector<ArmSpec> control_arms(const std::vector<ConfigValue>& lines,
                                  const std::vector<ArmSpec>& arms, const ModelConfig& model);

}  // namespace rvsweep
