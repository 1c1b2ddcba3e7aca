// One rank joins NCCL on its GPU and broadcasts to itself: the calls that are looked up by name,
// and their arguments, without a second GPU. Prints what came of it; 1 where bytes are lost, 2
// without a GPU or NCCL.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include <iostream>

#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/comm/world.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/kernels/device.hpp"

using namespace rvsweep;

int main() {
  try {
    resolve_device("cuda");
    const World world;
    const Placement placement = place_rank("cuda", "float32", 0);
    prepare_thread(placement, /*threads=*/1);
    const at::Tensor numbers = at::arange(1 << 24), sent = numbers.to(placement.device);
    const DeviceMemory memory{gpu_uuid(placement), sent.data_ptr(), sent.nbytes()};
    const auto why_not = broadcast_by_nccl(world.communicator(), memory, /*root=*/0, Seconds(60));
    if (why_not) throw InputError("NCCL", *why_not);
    const bool equal = sent.to(at::kCPU).equal(numbers);
    std::cout << "NCCL " << nccl_version().value_or("?") << ": " << sent.nbytes() << " bytes "
              << (equal ? "are there" : "were lost") << "\n";
    return equal ? 0 : 1;
  } catch (const std::exception& error) {
    std::cout << error.what() << "\n";
    return 2;
  }
}
