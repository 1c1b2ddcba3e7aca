#pragma once
// Long work of rank 0 that the other ranks wait for.
#include <functional>
#include <optional>

#include "rvsweep/comm/communicator.hpp"
#include "rvsweep/comm/silence.hpp"

namespace rvsweep {

/// Collective: rank 0 calls `work`, in a second thread where there are other ranks, and tells them
/// every second that it lives; they sleep until it has ended. What `work` throws leaves rank 0. The
/// others throw RankLost when rank 0 is silent for longer than `limit`.
void root_works(Communicator& communicator, std::optional<Seconds> limit,
                const std::function<void()>& work);

}  // namespace rvsweep
