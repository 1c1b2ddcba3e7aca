#include "kernels/cpu/onednn.hpp"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/inductor/aoti_torch/tensor_converter.h>

#include <optional>
#include <string_view>

#include "kernels/cpu/amx/product.hpp"
#include "kernels/cpu/swiglu.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// The rows that oneDNN chooses the layout for; products of other numbers of rows read it as it is.
constexpr std::int64_t typical_rows = 128;

using Pack = at::Tensor(const at::Tensor&, std::optional<std::int64_t>);
using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                           std::string_view, c10::List<std::optional<at::Scalar>>,
                           std::optional<std::string_view>);

template <typename Signature>
c10::TypedOperatorHandle<Signature> onednn_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

bool can_pack(at::ScalarType dtype) {
  if (!at::hasMKLDNN()) return false;
  if (dtype == at::kFloat) return true;
  static const bool bfloat16 = onednn_operator<bool()>("mkldnn::_is_mkldnn_bf16_supported").call();
  return dtype == at::kBFloat16 && bfloat16;
}

at::Tensor packed(const at::Tensor& matrix) {
  static const auto pack = onednn_operator<Pack>("mkldnn::_reorder_linear_weight");
  return pack.call(matrix, typical_rows);
}

const std::byte* packed_data(const at::Tensor& matrix) {
  static const auto data = onednn_operator<std::int64_t(const at::Tensor&)>("mkldnn::data_ptr");
  return reinterpret_cast<const std::byte*>(data.call(matrix));
}

std::vector<std::uint8_t> packed_format(const at::Tensor& matrix) {
  static const auto describe =
      onednn_operator<at::Tensor(const at::Tensor&)>("mkldnn::_get_mkldnn_serialized_md");
  const at::Tensor format = describe.call(matrix);
  const auto* const begin = format.const_data_ptr<std::uint8_t>();
  return {begin, begin + format.numel()};
}

at::Tensor packed_matrix_at(const std::byte* data, at::ScalarType dtype,
                            std::span<const std::uint8_t> format) {
  // Shape and strides are in the description.
  AtenTensorHandle matrix = nullptr;
  const AOTITorchError error = aoti_torch_create_tensor_from_blob_v2(
      const_cast<std::byte*>(data), 0, nullptr, nullptr, 0, static_cast<std::int32_t>(dtype),
      aoti_torch_device_type_cpu(), 0, &matrix, aoti_torch_layout__mkldnn(), format.data(),
      static_cast<std::int64_t>(format.size()));
  RVSWEEP_EXPECT(error == AOTI_TORCH_SUCCESS, "oneDNN understands its own description");
  return torch::aot_inductor::alloc_tensors_by_stealing_from_handles(&matrix, 1).front();
}

at::Tensor project(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias) {
  if (is_in_tiles(matrix)) return amx_product(x, matrix, bias);
  if (!matrix.is_mkldnn()) return at::linear(x, matrix, bias);
  static const auto product = onednn_operator<Product>("mkldnn::_linear_pointwise");
  const auto optional_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return product.call(x, matrix, optional_bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

at::Tensor project_gated(const at::Tensor& x, const at::Tensor& gate_up) {
  if (is_in_tiles(gate_up)) return amx_gated_product(x, gate_up);
  return swiglu(project(x, gate_up));
}

void add_projection(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias,
                    const at::Tensor& sum) {
  if (is_in_tiles(matrix))
    amx_add_product(x, matrix, bias, sum);
  else
    sum.add_(project(x, matrix, bias));
}

LargestLogits project_to_largest(const at::Tensor& x, const at::Tensor& matrix) {
  if (is_in_tiles(matrix)) return amx_largest(x, matrix);
  const at::Tensor logits = project(x, matrix);
  return {largest_logits(logits), finite_rows(logits)};
}

}  // namespace rvsweep
