#pragma once
// What the forward pass asks of a device, one plain table of functions per device.
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "rvsweep/core/arithmetic.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/kernels/matrix.hpp"
#include "rvsweep/kernels/rotation.hpp"
#include "rvsweep/kernels/visibility.hpp"

// Shapes: B rows, T queries per row, C cache columns seen, nh query heads, nkv KV heads, hd
// head_dim, H hidden, I intermediate.

namespace rvsweep {

/// One layer's cells in columns [0, C). Heads of hd neighbouring elements.
struct CacheCells {
  at::Tensor keys, values;  // [B, nkv, C, hd]
};

/// A norm of the last dimension, H elements.
struct Norm {
  NormKind kind = NormKind::rms;
  double eps = 1e-6;       // added to the mean square
  at::Tensor weight = {};  // [H]; undefined where there is no norm
  at::Tensor bias = {};    // [H], of LayerNorm
};

/// From queries times keys to what softmax is taken of: times `scale`, then soft_cap *
/// tanh(score / soft_cap) where that is not 0, then the bias.
struct Scores {
  double scale = 1, soft_cap = 0;
};

/// What an MLP does between its matrices: the activation of all it is given, or, gated, of the
/// first half, rounded and times the second.
struct Mlp {
  Activation activation = Activation::silu;
  bool gated = true;
};

/// What is drawn greedily from every row of logits, and whether it may be.
struct ArgMax {
  at::Tensor token;   // int64 [rows]: the first of the largest; any where the row is not finite
  at::Tensor finite;  // bool [rows]: all elements are finite
};

/// What a table's attention_bias tells its attention of the visible cells.
struct AttentionBias {
  at::Tensor mask;  // added to scores; shape and dtype are the table's own; undefined: causal
  // Beside a mask in 16 bits, where some row counts columns [0, fed) several times:
  std::int64_t fed = 0;
  at::Tensor compound_rows = {};  // int64: these rows, perhaps repeated
  at::Tensor ln_times = {};       // float32 [B, 1, T, 1 or fed], what their scores there rise by
  std::int64_t window = 0;        // see Visibility, where there is no mask
};

/// aten_operations() fills every entry by libtorch and is the reference of the others; a device
/// replaces what it has a faster form of. On the CPU a row's bits depend on that row alone, except
/// where an entry says more; on a GPU also on the shape of its batch, which its bundle fixes, but
/// not on what other rows hold.
struct Operations {
  /// x [..., H] normed, in x's dtype.
  at::Tensor (*norm)(const at::Tensor& x, const Norm& norm);

  /// Rotates the query and key heads of qkv [B, T, nh + 2 nkv, hd] in place by `rotation`
  /// [B, T, at most hd/2] and writes keys and values to the cells of columns [C - T, C).
  void (*rotate_and_write)(const at::Tensor& qkv, const Rotation& rotation,
                           const CacheCells& cells);

  /// The same for every layer that sees alike, so it is made once per pass. `group` = nh / nkv.
  AttentionBias (*attention_bias)(const Visibility& seen, const QueryColumns& queries,
                                  std::int64_t group, const Placement& placement);

  /// softmax of scores, times v: [B, T, nh, hd] of q [B, T, nh, hd], whose heads
  /// [i nh/nkv, (i+1) nh/nkv) share KV head i. Bits depend on C too.
  at::Tensor (*attention)(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                          const Scores& scores);

  /// x [..., in] times the matrix transposed, plus its bias: [..., out] in x's dtype.
  at::Tensor (*product)(const at::Tensor& x, const Matrix& matrix);

  /// Adds product(x, matrix), rounded, to `sum` [..., out], contiguous.
  void (*add_product)(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum);

  /// product(x, up) activated: [..., I] of a matrix with I rows or, gated, I of gate and I of up.
  at::Tensor (*activated_product)(const at::Tensor& x, const Matrix& up, const Mlp& mlp);

  /// argmax and finite_rows of product(x, head), which need not be kept. x [rows, H].
  ArgMax (*argmax_product)(const at::Tensor& x, const Matrix& head);

  /// ArgMax::token and ArgMax::finite of logits [rows, vocab].
  at::Tensor (*argmax)(const at::Tensor& logits);
  at::Tensor (*finite_rows)(const at::Tensor& logits);
};

const Operations& aten_operations();

/// The fastest table for a placement.
const Operations& operations_of(const Placement& placement);

}  // namespace rvsweep
