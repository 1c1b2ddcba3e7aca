#pragma once
// The entries of aten_operations(), for tables that replace some of them.
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep::aten {

at::Tensor attention_bias(const Visibility& seen, const QueryColumns& queries, std::int64_t group,
                          at::Device device);
at::Tensor attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                     double scale);

}  // namespace rvsweep::aten
