#pragma once
// Donors that no prompt is: made from a prompt's cells, or from those of all prompts (mean).
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/model/transformer.hpp"
#include "rvsweep/plan/bundle.hpp"

namespace rvsweep {

/// Sum for the donor of the mean control: m tokens, m being the length of the shortest prompt; the
/// prompts are aligned at their ends.
struct MeanDonor {
  at::Tensor k, v;           // float64 [n_layers, n_kv_heads, m, head_dim], keys un-rotated
  std::int64_t prompts = 0;  // summed so far
};

/// By direction: of the sources, of the bases.
using MeanDonors = std::array<MeanDonor, 2>;

/// Standard normal directions with the norms of the rows of `like` [tokens, heads, dim], which are
/// the donor's tokens from `first_token` on: float64 on the CPU.
at::Tensor gaussian_like(const at::Tensor& like, std::int64_t first_token, std::uint64_t key);

/// Adds the prompts in the first slots of `cache`, of `lengths` tokens each, to a sum over m
/// tokens.
void add_to_mean(const Transformer& model, const KvCache& cache,
                 const std::vector<std::int64_t>& lengths, std::int64_t m, MeanDonor& mean);

/// Fills the slots [derived_slot, ...) with bundle.derived, made from the slots of the prompts or,
/// for the mean control, from `means`.
void derive_donors(const Transformer& model, const Bundle& bundle, std::uint64_t seed,
                   std::int64_t derived_slot, const MeanDonors& means, ContextState& state);

}  // namespace rvsweep
