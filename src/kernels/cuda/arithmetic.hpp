#pragma once
// Which arithmetic libtorch uses on a GPU, for the whole process.

namespace rvsweep::cuda {

/// IEEE float32 products (no TF32), float32 sums of 16-bit products, cuBLAS, and of the attention
/// kernels that take a mask the memory-efficient one alone: cuDNN makes a plan for every new number
/// of columns, the math form takes memory for all scores; neither is chosen silently. Overrides
/// what libtorch took from its TORCH_... variables; a variable that cuBLAS itself obeys throws
/// InputError. CPU results keep their bits. To be called before the first product.
void set_arithmetic();

}  // namespace rvsweep::cuda
