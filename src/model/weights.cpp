#include "rvsweep/model/weights.hpp"

#include <algorithm>
#include <functional>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::int64_t bytes_of(std::int64_t numel, at::ScalarType dtype) {
  return numel * static_cast<std::int64_t>(at::elementSize(dtype));
}

bool is_product(const Parameter& parameter) { return parameter.role == Role::product; }

bool continues(const WeightLayout& layout, const Parameter& parameter) {
  return !layout.parameters.empty() && layout.parameters.back().shares_tensor(parameter);
}

void append(const Parameter& parameter, WeightLayout& layout) {
  if (!continues(layout, parameter)) layout.bytes = aligned(layout.bytes);
  layout.parameters.push_back({parameter, layout.bytes});
  layout.bytes += bytes_of(parameter.numel(), layout.dtype);
}

/// What the products of the model are multiplied with.
std::vector<Parameter> products_of(const ModelConfig& config) {
  std::vector<Parameter> parameters = parameters_of(config);
  Parameter tied_head = *std::ranges::find(parameters, Slot::embedding, &Parameter::slot);
  tied_head.slot = Slot::head;
  tied_head.role = Role::product;
  if (config.tied_head) parameters.push_back(std::move(tied_head));
  std::erase_if(parameters, std::not_fn(is_product));
  return parameters;
}

Matrix& matrix_of(Weights& weights, const Parameter& parameter) {
  LayerWeights& layer = weights.layers.at(parameter.layer);
  if (parameter.slot == Slot::qkv_proj) return layer.qkv;
  if (parameter.slot == Slot::o_proj) return layer.o;
  if (parameter.slot == Slot::gate_up_proj) return layer.gate_up;
  if (parameter.slot == Slot::down_proj) return layer.down;
  RVSWEEP_EXPECT(parameter.slot == Slot::head, "a product must be with a matrix");
  return weights.head;
}

/// Null for what belongs to no norm.
Norm* norm_of(Weights& weights, const Parameter& parameter) {
  LayerWeights& layer = weights.layers.at(parameter.layer);
  if (parameter.slot == Slot::input_norm) return &layer.input_norm;
  if (parameter.slot == Slot::q_norm) return &layer.q_norm;
  if (parameter.slot == Slot::k_norm) return &layer.k_norm;
  if (parameter.slot == Slot::attention_out_norm) return &layer.attention_out_norm;
  if (parameter.slot == Slot::mlp_norm) return &layer.mlp_norm;
  if (parameter.slot == Slot::mlp_out_norm) return &layer.mlp_out_norm;
  return parameter.slot == Slot::norm ? &weights.norm : nullptr;
}

/// Makes `data` the vector or table of rows that the parameter is, or gives elements of.
void put_tensor(Weights& weights, const Parameter& parameter, const at::Tensor& data,
                const ModelConfig& config) {
  if (parameter.role == Role::lookup) {
    (parameter.slot == Slot::positions ? weights.positions : weights.embedding) = data;
  } else if (Norm* const norm = norm_of(weights, parameter)) {
    norm->kind = config.norm;
    norm->eps = config.norm_eps;
    (parameter.role == Role::bias ? norm->bias : norm->weight) = data;
  } else {
    matrix_of(weights, parameter).bias = data;
  }
}

}  // namespace

WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype) {
  WeightLayout layout{dtype, {}, 0};
  for (const Parameter& parameter : parameters_of(config)) append(parameter, layout);
  return layout;
}

WeightLayout lookups_and_vectors(const ModelConfig& config, at::ScalarType dtype) {
  WeightLayout layout{dtype, {}, 0};
  for (const Parameter& parameter : parameters_of(config))
    if (!is_product(parameter)) append(parameter, layout);
  return layout;
}

std::vector<WeightLayout> product_matrices(const ModelConfig& config, at::ScalarType dtype) {
  std::vector<WeightLayout> matrices;
  for (const Parameter& parameter : products_of(config)) {
    if (matrices.empty() || !continues(matrices.back(), parameter))
      matrices.push_back({dtype, {}, 0});
    append(parameter, matrices.back());
  }
  return matrices;
}

void put_matrix(Weights& weights, const Parameter& parameter, Matrix matrix) {
  Matrix& of_slot = matrix_of(weights, parameter);
  matrix.bias = of_slot.bias;
  of_slot = std::move(matrix);
}

Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout) {
  RVSWEEP_EXPECT(block.numel() == layout.bytes, "the block must hold the layout");
  Weights weights;
  weights.layers.resize(config.n_layers);
  const auto end = layout.parameters.end();
  for (auto first = layout.parameters.begin(), next = first; first != end; first = next) {
    Shape shape = first->shape;
    std::int64_t numel = 0;
    shape.front() = 0;
    for (; next != end && next->shares_tensor(*first); ++next) {
      shape.front() += next->shape.front();
      numel += next->numel();
    }
    const at::Tensor data = block.narrow(0, first->offset, bytes_of(numel, layout.dtype))
                                .view(layout.dtype)
                                .view(shape);
    if (is_product(*first))
      put_matrix(weights, *first, matrix_of_rows(data));
    else
      put_tensor(weights, *first, data, config);
  }
  if (config.tied_head) weights.head = matrix_of_rows(weights.embedding);
  return weights;
}

}  // namespace rvsweep
