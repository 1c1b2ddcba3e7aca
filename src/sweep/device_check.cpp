#include "sweep/device_check.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/experiment/self_check.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/kernels/device_error.hpp"

namespace rvsweep {
namespace {

using Json = nlohmann::ordered_json;

void refuse_broken(Communicator& communicator, const NodeRank& node,
                   const std::vector<CheckedOperation>& checked) {
  const CheckedOperation* const failure = first_failure(checked);
  for (const std::string& wrong :
       communicator.all_gather(failure ? node.host + ": " + failure->text() : ""))
    if (!wrong.empty())
      throw DeviceError(wrong +
                        ": the device does not compute what the CPU does in float32: "
                        "nothing was computed; see rvsweep doctor there, and use another "
                        "device, dtype or driver");
}

Json to_json(const std::vector<CheckedOperation>& checked) {
  Json operations = Json::array();
  for (const CheckedOperation& check : checked)
    operations.push_back({{"operation", check.operation},
                          {"error", check.found.error},
                          {"error_bound", check.bound.error},
                          {"gain", check.found.gain},
                          {"gain_bound", check.bound.gain}});
  return operations;
}

}  // namespace

std::string check_devices(const World& world, const Launch& launch) {
  Communicator& communicator = world.communicator();
  const Placement placement = place_rank(launch.device, launch.dtype, world.node().local_rank);
  prepare_thread(placement, launch.threads);
  const auto checked = naming_device_errors(placement.device, "end what else uses the GPU", [&] {
    return self_check(placement, operations_of(placement), launch.threads);
  });
  refuse_broken(communicator, world.node(), checked);
  Json largest = to_json(checked);
  for (const std::string& text : communicator.all_gather(largest.dump())) {
    const Json of_rank = Json::parse(text);
    for (std::size_t i = 0; i < largest.size(); ++i)
      for (const char* number : {"error", "gain"})
        largest[i][number] =
            std::max(largest[i][number].get<double>(), of_rank[i][number].get<double>());
  }
  return Json{{"passed", true}, {"operations", largest}}.dump();
}

}  // namespace rvsweep
