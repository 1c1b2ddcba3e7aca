#pragma once
// Arms: what is done to a pair. One `arm =` line of a config stands for one or several of them.
// Semantics: README "Arms"; settings and defaults are one table in arm.cpp.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/plan/layers.hpp"

namespace rvsweep {

enum class ArmKind { base, source, v_proj, kv_cache };
enum class Decode { prefill, persist };          // v_proj: prompt rows only | every fed token too
enum class WindowPolicy { refuse, shrink };      // v_proj with a prompt shorter than the window
enum class Entry { hold_last, refeed };          // kv_cache: b[n-1] fed once at n-1 | again at n
enum class Growth { append, frozen, compound };  // kv_cache: what fed tokens do to patched layers
enum class Align { as_is, rerotate, matched };   // kv_cache: the rotation of donor keys
enum class Direction { source_to_base, base_to_source };

struct ArmSpec {
  ArmKind kind = ArmKind::base;
  std::string label;   // short and unique; shown in reports
  std::string preset;  // "" or notebook_b, notebook_c_v1, notebook_c_v2
  LayerSet layers;     // patched layers; empty for base and source
  Decode decode = Decode::prefill;
  WindowPolicy window_policy = WindowPolicy::refuse;
  std::int64_t window = 0;  // tokens; v_proj only
  Entry entry = Entry::hold_last;
  Growth growth = Growth::append;
  Align align = Align::rerotate;
  Direction direction = Direction::source_to_base;
  std::int64_t truncate_at = 0;  // prompts are cut to this many tokens first; 0 = never

  bool is_patched() const { return kind == ArmKind::v_proj || kind == ArmKind::kv_cache; }
  /// Full text with every setting resolved; equal text means equal rows.
  std::string canonical() const;
};

/// "v_proj", "kv_cache", ... as written in configs and stored in /arms/kind.
std::string kind_name(ArmKind kind);

/// The arms of `lines` for a model of n_layers, in order; `,` in a value stands for one arm each.
/// Throws InputError naming file, line and setting: unknown arm or setting (with the nearest known
/// one), a setting that means nothing for its arm, layers outside the model, two equal arms or
/// labels.
std::vector<ArmSpec> parse_arms(const std::vector<ConfigValue>& lines, std::int64_t n_layers,
                                std::int64_t window);

}  // namespace rvsweep
