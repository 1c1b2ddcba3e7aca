#pragma once
// What the forward pass asks of a device, one plain table of functions per device.
#include <ATen/core/Tensor.h>

#include <cstdint>

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
  at::Tensor ln_times = {};       // float32 [B, 1, T, 1], what their scores there rise by
};

/// aten_operations() fills every entry by libtorch and is the reference of the others; a device
/// replaces what it has a faster form of. On the CPU a row's bits depend on that row alone, except
/// where an entry says more; on a GPU also on the shape of its batch, which its bundle fixes, but
/// not on what other rows hold.
struct Operations {
  /// x [..., H] / rms(x) * weight [H]: mean square and quotient in float32, the quotient rounded to
  /// x's dtype before the product, as in Hugging Face.
  at::Tensor (*rms_norm)(const at::Tensor& x, const at::Tensor& weight, double eps);

  /// Rotates the query and key heads of qkv [B, T, nh + 2 nkv, hd] in place by `rotation`
  /// [B, T, hd/2] and writes keys and values to the cells of columns [C - T, C).
  void (*rotate_and_write)(const at::Tensor& qkv, const Rotation& rotation,
                           const CacheCells& cells);

  /// The same for every layer that sees alike, so it is made once per pass. `group` = nh / nkv.
  AttentionBias (*attention_bias)(const Visibility& seen, const QueryColumns& queries,
                                  std::int64_t group, const Placement& placement);

  /// softmax(scale * q k^T + bias) v: [B, T, nh, hd] of q [B, T, nh, hd], whose heads
  /// [i nh/nkv, (i+1) nh/nkv) share KV head i. Bits depend on C too.
  at::Tensor (*attention)(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                          double scale);

  /// x [..., in] times the matrix transposed, plus its bias: [..., out] in x's dtype.
  at::Tensor (*product)(const at::Tensor& x, const Matrix& matrix);

  /// Adds product(x, matrix), rounded, to `sum` [..., out], contiguous.
  void (*add_product)(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum);

  /// silu(gate) * up, SiLU rounded before the product: [..., I] of a matrix with I rows of gate,
  /// then I rows of up.
  at::Tensor (*swiglu_product)(const at::Tensor& x, const Matrix& gate_up);

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
