#pragma once
// How far a patched state is from states that prompts give by themselves.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// The residual stream after some layers at the last token of prompts that nothing patches.
struct NaturalStates {
  std::vector<std::int64_t> layers;                // ascending
  std::vector<std::vector<std::int32_t>> prompts;  // their tokens
  at::Tensor states;                               // float32 [layers, prompts, hidden]
  at::Tensor spacing;  // float32 [layers]: median distance of a prompt's state from the nearest
};

/// No layers: none. Throws DeviceError.
NaturalStates natural_states(const Transformer& model,
                             const std::vector<std::vector<std::int32_t>>& prompts,
                             const std::vector<std::int64_t>& layers);

/// Which of the prompts these tokens are, else begin; -1: none.
std::int64_t place_of_prompt(const NaturalStates& natural, const std::vector<std::int32_t>& tokens);

/// Distances of rows' states, [rows, hidden], after the i-th of the layers from the nearest natural
/// state, as a share of the spacing: float32 [rows]. `own`: by row the place of the prompt that is
/// left out. NaN where no other is left or no two states differ.
at::Tensor distance_from(const NaturalStates& natural, std::int64_t i, const at::Tensor& states,
                         const std::vector<std::int64_t>& own);

}  // namespace rvsweep
