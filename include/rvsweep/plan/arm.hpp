#pragma once
// Arms: what is done to a pair, as a list of patches. How an arm is written in a config, with its
// settings and defaults, is one table in arm_forms.cpp; controls are one in control.cpp.
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "rvsweep/model_config/site.hpp"
#include "rvsweep/plan/layers.hpp"
#include "rvsweep/plan/positions.hpp"

namespace rvsweep {

enum class Decode { prefill, persist };          // prompt tokens only | every fed token too
enum class WindowPolicy { refuse, shrink };      // with a prompt shorter than the window
enum class Entry { hold_last, refeed };          // b[n-1] is fed once at n-1 | again at n
enum class Growth { append, frozen, compound };  // what fed tokens do to the patched layers
enum class Align { as_is, rerotate, matched };   // the rotation of donor keys
enum class What { kv, k, v };                    // the components written
enum class Direction { source_to_base, base_to_source };

/// Whose values a patch writes: of the pair's other prompt, of base itself, of the next pair's base
/// or source, of the next prompt on the donor's side with as many tokens, of the filler text, or of
/// all prompts on the donor's side.
enum class DonorPrompt { pair, self, other_base, other_source, same_length, filler, donor_side };

/// What those values are replaced by first (see intervention/derived_donors.hpp).
enum class Derivation { none, zero, gaussian, shuffled, mean, last_row };

struct Donor {
  DonorPrompt prompt = DonorPrompt::pair;
  Derivation derivation = Derivation::none;
  std::int32_t number = 1;     // other_*, same_length: of the prompts that follow, from 1
  std::string direction = {};  // name of the vectors that are given instead, see directions.hpp
  std::map<std::string, std::string> files = {};  // that hold vectors of it, by their names
};

/// What an arm is a control by (see control.cpp).
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
  reverse,
  random_layers,
  same_length,
  last_row
};

/// Steps [from, until) of generation. Step 0 is the pass over the prompt, b[n-1] included, from
/// which g_1 is drawn; step t feeds g_t.
struct Steps {
  static constexpr auto no_end = std::numeric_limits<std::int64_t>::max();
  std::int64_t from = 0, until = no_end;

  bool contains(std::int64_t step) const { return from <= step && step < until; }
  bool operator==(const Steps&) const = default;
};

/// Values of a site (v_proj, resid_pre, ...), replaced inside the forward pass at `positions` of
/// all the prompt's tokens or, without them, at its last tokens up to the window's end.
struct SiteTarget {
  Site site = Site::v;
  std::int64_t window = 0;  // tokens
  WindowPolicy window_policy = WindowPolicy::refuse;
  Decode decode = Decode::prefill;
  std::optional<Positions> positions = {};
  Steps steps = {};  // of decode=persist
  SiteOperation operation = SiteOperation::replace;
  double amount = 1;  // add: how many times what is added; scale: the factor

  bool reads_donor() const { return operation != SiteOperation::scale; }
};

/// Cells of the prompt's cache, replaced before a step feeds its token.
struct CacheTarget {
  What what = What::kv;
  Positions positions = {};
  Growth growth = Growth::append;
  Align align = Align::rerotate;
  std::int64_t at_step = 0;  // that step, see Steps
};

struct Patch {
  std::variant<SiteTarget, CacheTarget> target;
  LayerSet layers = {};
  std::vector<std::int64_t> heads = {};  // ascending; empty: all
  double alpha = 1;                      // 0..1, share of the donor in what is written
  Donor donor = {};

  const SiteTarget* site() const { return std::get_if<SiteTarget>(&target); }
  const CacheTarget* cache() const { return std::get_if<CacheTarget>(&target); }
  /// Null where a site's window is written.
  const Positions* positions() const;
};

struct Arm {
  std::string label = {};   // short and unique; shown in reports
  std::string preset = {};  // "" or notebook_b, notebook_c_v1, notebook_c_v2
  Direction direction = Direction::source_to_base;  // from the donor to what is generated from
  Entry entry = Entry::hold_last;                   // refeed: of arms that patch the cache
  std::int64_t truncate_at = 0;     // prompts are cut to this many tokens first; 0: never
  std::vector<Patch> patches = {};  // applied in this order; base and source have none
  Control control = Control::none;
  std::int32_t copy = 1;           // of a control that is asked for several times, from 1
  std::string control_of = {};     // with other layers: those of the arm that it belongs to
  std::int64_t control_patch = 0;  // the only patch that the control changes, from 1; 0: all
  std::string pairs = {};          // "A~B": see arms_of_pairs; empty: of all pairs
  std::vector<std::string> asked_by = {};  // labels in PromptPair::arms: its own, or its arm's
  std::string refusal = {};                // why no row of this arm can run; empty where some can

  bool is_patched() const { return !patches.empty(); }
  /// Whether some patch writes what such a prompt gives.
  bool takes_from(DonorPrompt prompt) const;
  /// Full text with every setting resolved; equal text means equal rows.
  std::string canonical() const;
};

/// "kv_cache", "v_proj", "resid_pre", ... as written in configs.
std::string kind_name(const Patch& patch);

/// The kinds of the arm's patches, else "base" or "source"; stored in /arms/kind.
std::string kind_name(const Arm& arm);

/// How many heads a patch chooses from: those of its site, KV heads of the cache.
std::int64_t heads_of(const Patch& patch, const ModelConfig& model);

/// What hinders two patches of the cache from writing one layer in turn: unlike growth or at_step,
/// or positions=all, which gives the layer other cells. Empty where nothing does.
std::string cache_conflict(const std::vector<Patch>& patches);

/// The most tokens of a window that a patch of a site writes; at least `window`.
std::int64_t longest_window(const std::vector<Arm>& arms, std::int64_t window);

/// Whether a patch of a site may write tokens before the last longest_window(arms, window).
bool reach_beyond_windows(const std::vector<Arm>& arms, std::int64_t window);

/// The word lists of the arms' positions, and the names of their spans.
std::set<std::set<std::string>> word_lists(const std::vector<Arm>& arms);
std::set<std::string> names_of_spans(const std::vector<Arm>& arms);

}  // namespace rvsweep
