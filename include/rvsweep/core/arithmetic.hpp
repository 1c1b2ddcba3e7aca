#pragma once
// Kinds of arithmetic that a model's configuration names and a device computes.

namespace rvsweep {

/// x divided by its root mean square, or as LayerNorm has it, in float32.
enum class NormKind {
  rms,           // rounded, then times the weight: Llama's
  rms_float,     // times the weight, rounded once: OLMo-2's
  rms_plus_one,  // times 1 + the weight, rounded once: Gemma's
  layer          // LayerNorm with its bias, rounded once
};

/// Of an MLP; gelu_tanh is its approximation by a hyperbolic tangent.
enum class Activation { silu, gelu, gelu_tanh };

}  // namespace rvsweep
