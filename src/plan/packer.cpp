#include "plan/packer.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "plan/packed_bundle.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

/// A context as the packer tells it from others: the prompt and how many of its tokens are read.
using ContextKey = std::pair<std::int32_t, std::int64_t>;

/// The context that a donor is or is made from; none for zero and mean.
std::optional<ContextKey> key_of(const PatchDonor& donor) {
  if (donor.derivation == Derivation::mean || donor.derivation == Derivation::zero)
    return std::nullopt;
  return ContextKey{donor.prompt.value, donor.m};
}

class Packer {
 public:
  Packer(Plan& plan, const SweepConfig& config, const ModelConfig& model, const Donors& donors,
         const Plan* before, const BundleLimit* limit)
      : plan_(plan),
        config_(config),
        donors_(donors),
        limit_(limit),
        model_(model),
        max_length_(model.max_positions),
        compares_logits_(config.readouts.first_token || config.readouts.forced),
        least_columns_(longest_window(plan.arms, config.longest_window()) +
                       plan.tokens_after_window),
        recorded_(plan.prompts.size()) {
    first_row_.assign(plan.pairs.size() + 1, 0);
    for (const PlannedRow& row : plan.rows) ++first_row_[row.pair.value + 1];
    std::partial_sum(first_row_.begin(), first_row_.end(), first_row_.begin());
    if (before == nullptr) return;
    rows_before_ = std::ssize(before->rows);
    for (std::int32_t place = 0; place < std::ssize(plan.prompts); ++place)
      recorded_[place] = plan.prompts[place].number.value < std::ssize(before->prompts);
  }

  /// Whether the limit ended a bundle.
  bool pack() {
    std::map<std::int64_t, std::vector<std::int32_t>> pairs_of_length;
    for (std::int32_t pair = 0; pair < std::ssize(plan_.pairs); ++pair)
      pairs_of_length[padded_length(pair)].push_back(pair);
    for (const auto& [length, pairs] : pairs_of_length) {
      length_ = length;
      most_rows_ = limit_ != nullptr || !are_long(length)
                       ? plan_.bundle_rows
                       : std::min(plan_.bundle_rows, most_long_rows(model_, length));
      if (limit_ != nullptr) at_once_ = rows_at_once(limit_->needs, length, limit_->device_memory);
      for (const std::int32_t pair : pairs) add_pair(pair);
      close();
    }
    return limit_ended_one_;
  }

 private:
  /// What a row reads, in the order in which it enters the bundle.
  struct Needs {
    Roles roles;
    ContextKey base;
    std::optional<ContextKey> reference, counterpart;

    std::vector<ContextKey> all() const {
      std::vector<ContextKey> keys{base};
      for (const PatchDonor& donor : roles.donors)
        if (const auto key = key_of(donor)) keys.push_back(*key);
      for (const auto& key : {reference, counterpart})
        if (key) keys.push_back(*key);
      return keys;
    }
  };

  bool usable(PromptIndex prompt) const {
    const std::int64_t n = plan_.prompts[prompt.value].n_tokens;
    return n > 0 && n <= max_length_;
  }

  ContextKey whole(PromptIndex prompt) const {
    return {prompt.value, plan_.prompts[prompt.value].n_tokens};
  }

  const Arm& arm_of(std::int64_t row) const { return plan_.arms[plan_.rows[row].arm.value]; }

  Needs needs(std::int64_t row) const {
    const Arm& arm = arm_of(row);
    Needs needs;
    needs.roles = donors_.roles(arm, plan_.rows[row].pair);
    const Roles& roles = needs.roles;
    const auto cut = [&](PromptIndex prompt) {
      ContextKey key = whole(prompt);
      if (arm.truncate_at != 0) key.second = std::min(key.second, arm.truncate_at);
      return key;
    };
    needs.base = cut(roles.base);
    if (!compares_logits_) return needs;
    // Arms without a patch are compared with the pair's base, others with their recipient.
    const bool swapped = !arm.is_patched() && arm.direction == Direction::base_to_source;
    const auto reference = swapped ? roles.counterpart : roles.base;
    const auto counterpart = swapped ? roles.base : roles.counterpart;
    if (usable(reference)) needs.reference = cut(reference);
    if (config_.readouts.forced && usable(counterpart)) needs.counterpart = cut(counterpart);
    return needs;
  }

  std::vector<std::int64_t> runnable_rows(std::int32_t pair) const {
    std::vector<std::int64_t> rows;
    for (std::int64_t row = first_row_[pair]; row < first_row_[pair + 1]; ++row)
      if (plan_.rows[row].refusal == 0 && plan_.rows[row].number.value >= rows_before_)
        rows.push_back(row);
    return rows;
  }

  /// What the pair's rows need, once for all samples of an arm.
  std::vector<Needs> needs_of_rows(std::int32_t pair) const {
    std::vector<Needs> all;
    std::int32_t last_arm = -1;
    for (const std::int64_t row : runnable_rows(pair))
      if (std::exchange(last_arm, plan_.rows[row].arm.value) != plan_.rows[row].arm.value)
        all.push_back(needs(row));
    return all;
  }

  /// Every context of the pair's rows, and its own prompts where this bundle is to measure them.
  std::set<ContextKey> contexts_of(std::int32_t pair_index) const {
    std::set<ContextKey> keys;
    const PromptPair& pair = plan_.pairs[pair_index];
    for (const PromptIndex prompt : {pair.source, pair.base})
      if (usable(prompt) && !recorded_[prompt.value]) keys.insert(whole(prompt));
    for (const Needs& needs : needs_of_rows(pair_index))
      for (const ContextKey& key : needs.all()) keys.insert(key);
    return keys;
  }

  /// Columns for the pair's prompts and for whatever its rows read, donors that no prompt is too.
  std::int64_t padded_length(std::int32_t pair_index) const {
    std::int64_t longest = longest_window(plan_.arms, config_.window) + plan_.tokens_after_window;
    const PromptPair& pair = plan_.pairs[pair_index];
    for (const PromptIndex prompt : {pair.source, pair.base})
      if (usable(prompt)) longest = std::max(longest, whole(prompt).second);
    for (const Needs& needs : needs_of_rows(pair_index)) {
      for (const auto& [prompt, length] : needs.all()) longest = std::max(longest, length);
      for (const PatchDonor& donor : needs.roles.donors) longest = std::max(longest, donor.m);
    }
    return canonical_length(longest);
  }

  /// Columns of a long prompt's slot and of its pass.
  std::int64_t columns_of(std::int64_t tokens) const { return std::max(tokens, least_columns_); }

  /// What is to be added to a bundle.
  struct Addition {
    std::int64_t contexts = 0, rows = 0, derived = 0;
    std::int64_t columns = 0, longest = 0;  // of the slots of long prompts; of the prompts
  };

  Addition missing(const std::set<ContextKey>& keys, std::int64_t rows = 0,
                   const std::vector<PatchDonor>& donors = {}) const {
    Addition add{.rows = rows};
    for (const ContextKey& key : keys) {
      if (place_.contains(key)) continue;
      ++add.contexts;
      add.columns += columns_of(key.second);
      add.longest = std::max(add.longest, columns_of(key.second));
    }
    for (const PatchDonor& donor : donors) {
      if (donor.derivation == Derivation::none) continue;
      ++add.derived;
      add.columns += donor.m;
    }
    return add;
  }

  bool has_room_for(const Addition& add) const {
    return std::ssize(bundle_.contexts) + add.contexts <= 2 * most_rows_;
  }

  BundleShape shape_of(std::int64_t contexts, std::int64_t rows) const {
    const bool gpu = limit_ != nullptr, long_prompts = are_long(length_);
    return {padded_prompts(contexts, length_), length_, rows == 0 ? 0 : padded_rows(rows, length_),
            long_prompts ? 1
            : gpu        ? at_once_
                         : prefilled_on_cpu(length_),
            gpu            ? at_once_
            : long_prompts ? long_rows_at_once
                           : 0};
  }

  /// The bundle's shape with so much more, as if rows read all prompts.
  BundleShape shape_with(const Addition& add) const {
    BundleShape shape =
        shape_of(std::ssize(bundle_.contexts) + add.contexts, std::ssize(bundle_.rows) + add.rows);
    if (!are_long(length_)) return shape;
    shape.slot_columns = columns_ + add.columns;
    shape.longest = std::max(longest_, add.longest);
    return shape;
  }

  /// Whether the bundle may grow by so much.
  bool limit_allows(const Addition& add) const {
    return limit_ == nullptr ||
           limit_->allows(shape_with(add), std::ssize(bundle_.derived) + add.derived);
  }

  void close_at_limit() {
    limit_ended_one_ |= !bundle_.rows.empty();
    close();
  }

  std::int16_t context(const ContextKey& key) {
    const auto [found, is_new] =
        place_.try_emplace(key, static_cast<std::int16_t>(bundle_.contexts.size()));
    if (!is_new) return found->second;
    const PromptIndex prompt(key.first);
    // A prompt's geometry is stored by the first bundle that holds all of it.
    const bool records =
        prompt != filler_prompt && key == whole(prompt) && !recorded_[prompt.value];
    if (records) recorded_[prompt.value] = true;
    const auto number = prompt == filler_prompt ? prompt : plan_.prompts[prompt.value].number;
    bundle_.contexts.push_back(
        {number, static_cast<std::int32_t>(key.second),
         static_cast<std::int32_t>(donors_.tokens_after_window(prompt, key.second)), records});
    columns_ += columns_of(key.second);
    longest_ = std::max(longest_, columns_of(key.second));
    return found->second;
  }

  std::int16_t derived(const DerivedDonor& donor) {
    auto& all = bundle_.derived;
    const auto found = std::find(all.begin(), all.end(), donor);
    const auto place = static_cast<std::int16_t>(found - all.begin());
    if (found != all.end()) return place;
    all.push_back(donor);
    columns_ += donor.tokens;
    return place;
  }

  void add_pair(std::int32_t pair_index) {
    const PromptPair& pair = plan_.pairs[pair_index];
    const auto runnable = runnable_rows(pair_index);
    if (runnable.empty() && recorded_[pair.source.value] && recorded_[pair.base.value]) return;
    const auto addition = [&] {
      return missing(contexts_of(pair_index), std::ssize(runnable), donors_of(pair_index));
    };
    const auto room = most_rows_ - std::ssize(bundle_.rows);
    if (room < std::min<std::int64_t>(std::ssize(runnable), most_rows_) ||
        !has_room_for(addition()))
      close();
    if (!limit_allows(addition())) close_at_limit();
    if (runnable.empty() && !limit_allows(addition())) refuse(addition(), pair.id);
    for (const PromptIndex prompt : {pair.source, pair.base})
      if (usable(prompt) && !recorded_[prompt.value]) context(whole(prompt));
    for (const std::int64_t row : runnable) add_row(row);
  }

  /// Donors of a pair's rows.
  std::vector<PatchDonor> donors_of(std::int32_t pair) const {
    std::vector<PatchDonor> donors;
    for (const Needs& needs : needs_of_rows(pair))
      donors.insert(donors.end(), needs.roles.donors.begin(), needs.roles.donors.end());
    return donors;
  }

  void add_row(std::int64_t index) {
    const PlannedRow& planned = plan_.rows[index];
    const Arm& arm = arm_of(index);
    const std::string& pair_id = plan_.pairs[planned.pair.value].id;
    Needs needed = needs(index);
    const auto keys = needed.all();
    const auto addition = [&] {
      return missing({keys.begin(), keys.end()}, 1, needed.roles.donors);
    };
    if (std::ssize(bundle_.rows) == most_rows_ || !has_room_for(addition())) close();
    if (!limit_allows(addition())) close_at_limit();
    if (!limit_allows(addition())) refuse(addition(), pair_id);
    PlannedBundleRow row;
    row.row = planned.number;
    row.base = context(needed.base);
    for (PatchDonor& donor : needed.roles.donors) add_donor(donor, arm, pair_id);
    if (needed.reference) row.reference = context(*needed.reference);
    if (needed.counterpart) row.counterpart = context(*needed.counterpart);
    bundle_.rows.push_back(row);
  }

  void add_donor(PatchDonor& patch_donor, const Arm& arm, const std::string& pair_id) {
    const auto key = key_of(patch_donor);
    const std::int16_t of = key ? context(*key) : std::int16_t{-1};
    bundle_.donors.push_back(of);
    if (!patch_donor.tokens.empty()) {
      bundle_.tokens.resize(bundle_.donors.size());
      bundle_.tokens.back() = std::move(patch_donor.tokens);
    }
    if (patch_donor.derivation == Derivation::none) return;
    DerivedDonor donor{patch_donor.derivation, of, patch_donor.m};
    if (donor.of >= 0) donor.pair_id = pair_id;
    if (donor.derivation == Derivation::mean) donor.direction = arm.direction;
    if (donor.derivation == Derivation::shuffled || donor.derivation == Derivation::last_row)
      donor.cells = donor.tokens - (arm.entry == Entry::hold_last ? 1 : 0);
    derived_donors_.emplace_back(bundle_.donors.size() - 1, derived(donor));
  }

  /// The smallest bundle of a pair, which the limit does not allow.
  [[noreturn]] void refuse(const Addition& add, const std::string& pair_id) const {
    const BundleShape shape = shape_with(add);
    BundleLimit shorter = *limit_;
    std::int64_t fits = 0, too_many = shorter.needs.new_tokens;  // tokens
    while (too_many - fits > 1) {
      shorter.needs.new_tokens = (fits + too_many) / 2;
      (shorter.allows(shape, add.derived) ? fits : too_many) = shorter.needs.new_tokens;
    }
    const MemoryBudget one{limit_->weights, bundle_memory(limit_->needs, shape, add.derived)};
    throw InputError(
        "pair " + pair_id,
        fmt::format("its prompts, in {} columns, and one row of {} new tokens need {:.1f} GB of a "
                    "GPU of {:.1f} GB, {:.1f} GB of it for the weights",
                    length_, limit_->needs.new_tokens, one.gpu() / 1e9, limit_->device_memory / 1e9,
                    one.weights / 1e9),
        fits > 0 ? fmt::format("lower generation.max_new_tokens to {}, or take a larger GPU", fits)
                 : "shorten its prompts, or take a larger GPU");
  }

  void close() {
    if (bundle_.contexts.empty()) return;
    // Derived donors come after all contexts, whose number is known only now.
    for (const auto& [donor, place] : derived_donors_)
      bundle_.donors[donor] =
          static_cast<std::int16_t>(static_cast<std::int16_t>(bundle_.contexts.size()) + place);
    bundle_.id = BundleId(static_cast<std::int32_t>(plan_.bundles.size()));
    bundle_.shape = shape_with({});
    give_reach(plan_.arms, config_.window, config_.longest_window(), plan_.tokens_after_window,
               bundle_.shape);
    give_columns(columns_of(0), bundle_);
    bundle_.cost = tokens_fed(bundle_, config_, model_);
    if (!bundle_.tokens.empty()) bundle_.tokens.resize(bundle_.donors.size());
    bundle_.contexts.shrink_to_fit();  // kept as long as the sweep runs
    bundle_.rows.shrink_to_fit();
    bundle_.donors.shrink_to_fit();
    plan_.bundles.push_back(std::move(bundle_));
    bundle_ = {};
    place_.clear();
    derived_donors_.clear();
    columns_ = longest_ = 0;
  }

  Plan& plan_;
  const SweepConfig& config_;
  const Donors& donors_;
  const BundleLimit* limit_;
  const ModelConfig& model_;
  std::int64_t most_rows_ = 0;  // of a bundle of this length
  std::int64_t at_once_ = 0;    // under a limit: BundleShape::rows_at_once, prompts_at_once
  bool limit_ended_one_ = false;
  std::int64_t max_length_;
  bool compares_logits_;
  std::int64_t least_columns_;  // that a window or a patch may reach
  std::int64_t length_ = 0;
  std::int64_t columns_ = 0, longest_ = 0;  // of its long prompts, as if rows read all
  PlannedBundle bundle_;
  std::map<ContextKey, std::int16_t> place_;  // in bundle_.contexts
  std::vector<std::pair<std::size_t, std::int16_t>> derived_donors_;
  std::vector<std::int64_t> first_row_;  // of each pair, and an end
  std::vector<bool> recorded_;           // prompts whose geometry some bundle stores
  std::int64_t rows_before_ = 0;         // rows with a smaller number have their bundle
};

}  // namespace

bool BundleLimit::allows(const BundleShape& shape, std::int64_t derived) const {
  return MemoryBudget{weights, bundle_memory(needs, shape, derived)}.gpu() <= device_memory;
}

bool pack_bundles(Plan& plan, const SweepConfig& config, const ModelConfig& model,
                  const Donors& donors, const Plan* before, const BundleLimit* limit) {
  return Packer(plan, config, model, donors, before, limit).pack();
}

}  // namespace rvsweep
