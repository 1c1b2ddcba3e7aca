#include "rvsweep/model/linear.hpp"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>

#include <optional>
#include <string_view>

namespace rvsweep {
namespace {

/// The rows that oneDNN chooses the layout for; products of other numbers of rows read it as it is.
constexpr std::int64_t typical_rows = 128;

using Pack = at::Tensor(const at::Tensor&, std::optional<std::int64_t>);
using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                           std::string_view, c10::List<std::optional<at::Scalar>>,
                           std::optional<std::string_view>);

}  // namespace

bool can_pack(at::ScalarType dtype) {
  if (!at::hasMKLDNN()) return false;
  if (dtype == at::kFloat) return true;
  static const bool bfloat16 = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("mkldnn::_is_mkldnn_bf16_supported", "")
                                   .typed<bool()>()
                                   .call();
  return dtype == at::kBFloat16 && bfloat16;
}

at::Tensor packed(const at::Tensor& matrix) {
  static const auto pack = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                               .typed<Pack>();
  return pack.call(matrix, typical_rows);
}

at::Tensor project(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias) {
  if (!matrix.is_mkldnn()) return at::linear(x, matrix, bias);
  static const auto product = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                  .typed<Product>();
  const auto optional_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return product.call(x, matrix, optional_bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace rvsweep
