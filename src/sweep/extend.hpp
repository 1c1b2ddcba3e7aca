#pragma once
// A sweep that grows: more pairs, samples or arms in the folder of a smaller one.
//
// The smaller sweep's bundles stay as they were planned, and so do their segments and the bits of
// their rows; rows that are new are planned into further bundles. So a kept row need not have the
// bits that a fresh sweep of the larger job would give it, only those of its own bundle. plan.h5
// lists the sweeps it has grown from (its generations) and results.h5 names them.
#include "rvsweep/sweep/setup.hpp"

namespace rvsweep {

/// The first pair or prompt in which a plan with its texts is not the folder's, such as "pair a has
/// another source"; "" for none.
std::string first_difference(const StoredSweep& stored, const Plan& asked);

/// The fingerprint of a sweep that as a whole would have `fingerprint` and has grown from
/// `generations`; `fingerprint` itself where there are none.
std::uint64_t grown_fingerprint(std::uint64_t fingerprint,
                                const std::vector<SweepFacts::Generation>& generations);

/// Makes the larger job as a whole, of which `setup`, `identity` and `facts` tell, an extension of
/// the sweep in `folder`; returns its plan, with its texts. `setup` loses its plan, `facts` gets
/// generations and another fingerprint. Throws InputError naming every difference beside more
/// pairs, samples and arms, and where more pairs would change the donors of rows that are there
/// (other_base, other_source, mean).
Plan extend_sweep(const std::filesystem::path& folder, SweepSetup& setup,
                  const SweepIdentity& identity, SweepFacts& facts);

}  // namespace rvsweep
