#pragma once
// What the prompts of a bundle, and the donors derived from them, leave behind unpatched.
#include <array>
#include <vector>

#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/site_edit.hpp"
#include "rvsweep/model/transformer.hpp"
#include "rvsweep/plan/bundle.hpp"

namespace rvsweep {

/// A slot is a prompt's place in its bundle; derived donors come after the bundle's padded number
/// of prompts. All are right-aligned in the same columns.
struct ContextState {
  KvCache cache;                        // [n_layers, slots, n_kv_heads, columns, head_dim]
  std::vector<SiteCapture> sites = {};  // last tokens at every (site, layer) that some row patches
  std::vector<SiteCapture> streams =
      {};  // resid_pre of the prompts' last tokens, where patches begin
};

/// The donor of the mean control while it is summed up: m tokens long, m being the shortest of the
/// prompts; the prompts' last m tokens fall on each other.
struct MeanDonor {
  at::Tensor k, v;           // float64 [n_layers, n_kv_heads, m, head_dim], keys un-rotated
  std::int64_t prompts = 0;  // summed so far
};

/// By direction: of the sources, of the bases.
using MeanDonors = std::array<MeanDonor, 2>;

/// Adds the prompts in the first slots of `cache`, of `lengths` tokens each, to a sum over m
/// tokens.
void add_to_mean(const Transformer& model, const KvCache& cache,
                 const std::vector<std::int64_t>& lengths, std::int64_t m, MeanDonor& mean);

/// Fills the slots [derived_slot, ...) from those of the prompts (control.cpp lists what each
/// derivation is); `means` are read where a donor asks for it.
void derive_donors(const Transformer& model, const Bundle& bundle, std::uint64_t seed,
                   std::int64_t derived_slot, const MeanDonors& means, ContextState& state);

}  // namespace rvsweep
