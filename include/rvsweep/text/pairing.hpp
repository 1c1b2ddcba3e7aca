#pragma once
// Which prompts of a bank make pairs: a function of the bank, the settings and the sweep's seed.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/text/prompts.hpp"

namespace rvsweep {

enum class PairingKind {
  listed,          // no bank: the file lists the pairs
  cross,           // every source with every base
  random,          // every source with some bases, drawn
  length_matched,  // one-to-one, differing as little as possible in tokens
  matched          // one-to-one, alike in tokens and log-probability
};

/// Whether `name` stands for a group: its own name, or one that ends in `*` and begins so.
bool stands_for(std::string_view name, std::string_view group);

/// Groups of a bank by name, see stands_for.
struct GroupNames {
  std::vector<std::string> names;
  std::string where;  // file:line or option that says so
};

struct Pairing {
  PairingKind kind = PairingKind::listed;
  GroupNames sources, bases;
  std::int64_t bases_per_source = 0;  // random: 1 or more
  std::int64_t pairs = 0;             // all but cross: at most so many; 0 = all
  double caliper = 0;                 // matched: most standard deviations apart
  std::string matched_on;             // results.h5 that knows the log-probabilities
  std::string where;                  // of the pairing itself
};

/// What prompts are matched by.
struct PromptMeasures {
  std::function<std::int64_t(const Prompt&)> tokens;
  std::function<double(const Prompt&)> logprob = {};  // per token; of matched alone
};

/// Pairs with the id "<source>~<base>", sorted by source and base as the bank has them, and the
/// prompts they use.
/// random: a source takes the bases with the smallest draws under Philox, keyed by (seed, source
/// id) with the base's id as counter, so neither the order of the bank nor other prompts matter,
/// and random:K holds the pairs of every smaller K. A cap keeps each source's first base before any
/// second one.
/// matched: the two closest prompts first, then the closest of the others, and so on, where they
/// differ in each measure by at most `caliper` of its standard deviation over all prompts of the
/// groups; the distance is Euclidean in those units, of equal ones the first in the bank goes
/// first. length_matched: match_lengths with the side that has fewer prompts dealt to the groups of
/// the other; measures.tokens is called for every prompt of the groups. With a cap, prompts of that
/// side are left out evenly over their lengths. Throws InputError for a group that the bank lacks
/// (naming the nearest), one on both sides, more bases per source than there are, no pair within
/// the caliper.
PromptSet pair_bank(const PromptBank& bank, const Pairing& pairing, std::uint64_t seed,
                    const PromptMeasures& measures);

}  // namespace rvsweep
