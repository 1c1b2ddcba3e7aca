#pragma once
// libtorch's operators that may be called with tensors of a GPU: those that give the same bits
// whenever they are called on one kind of GPU with the same values and shapes, and why.
// tests/device/determinism_test.cpp compares this table with what bundles call.
#include <string_view>
#include <vector>

namespace rvsweep::cuda {

struct RepeatableOperators {
  std::string_view why;
  std::vector<std::string_view> names;  // without "aten::"
};

inline const std::vector<RepeatableOperators> repeatable_operators{
    {"Nothing is computed: memory is made, or seen in another shape",
     {"chunk", "diagonal", "empty", "empty_like", "expand", "flatten", "narrow", "permute",
      "reshape", "select", "split", "squeeze", "transpose", "unbind", "unsqueeze", "view"}},
    {"Values are moved; places that are written are distinct, or get the same value",
     {"arange", "cat", "clone", "copy_", "embedding", "fill_", "gather", "index", "index_copy_",
      "index_select", "masked_fill", "masked_fill_", "scalar_tensor", "scatter_", "stack", "to",
      "where", "zeros", "zeros_like"}},
    {"One thread computes an element from its own operands",
     {"add",  "add_",        "addcmul_",     "atan2",        "clamp_max_",  "cos",      "div",
      "div_", "exp",         "ge",           "gelu",         "gt",          "isfinite", "le",
      "lerp", "logical_and", "logical_and_", "logical_not_", "logical_or_", "lt",       "minimum",
      "mul",  "mul_",        "ne",           "neg",          "nextafter",   "rsqrt",    "silu",
      "sin",  "sqrt",        "square",       "sub",          "sub_",        "tanh_",    "xlogy"}},
    {"Additions by atomics, whose order changes; each row is added to once", {"index_add_"}},
    {"Reductions in a tree that the shape decides (ATen's Reduce.cuh and SoftMax.cu)",
     {"amax", "argmax", "layer_norm", "log_softmax", "logsumexp", "mean", "softmax", "sum"}},
    {"Scans of rows in a tree that the shape decides. A single row would go through cub's scan, "
     "whose order is that in which blocks end: the sampler never scans one",
     {"cumsum"}},
    {"Selecting, sorting and searching compare and count", {"searchsorted", "sort", "topk"}},
    {"cuBLAS repeats on one stream (cuBLAS manual, Results reproducibility); cuda/arithmetic.hpp "
     "settles which products it may take",
     {"linear", "matmul"}},
    {"The memory-efficient kernel, the only one that cuda/arithmetic.hpp leaves for a mask: one "
     "block of threads walks the cells in order for its queries and head",
     {"scaled_dot_product_attention"}},
};

}  // namespace rvsweep::cuda
