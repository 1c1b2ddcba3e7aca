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
    std::string why_not;
    const auto nccl = Nccl::join(world.communicator(), world.node().host, 0, why_not);
    if (!nccl) throw InputError("NCCL", why_not);
    const at::Tensor numbers = at::arange(1 << 24), sent = numbers.to(placement.device);
    nccl->broadcast(sent.data_ptr(), sent.nbytes(), /*root=*/0);
    const bool equal = sent.to(at::kCPU).equal(numbers);
    std::cout << "NCCL " << nccl_version().value_or("?") << ": " << sent.nbytes() << " bytes "
              << (equal ? "are there" : "were lost") << "\n";
    return equal ? 0 : 1;
  } catch (const std::exception& error) {
    std::cout << error.what() << "\n";
    return 2;
  }
}
