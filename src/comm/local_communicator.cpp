#include "comm/local_communicator.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

void LocalCommunicator::send(int to, int tag, Bytes payload) {
  RVSWEEP_EXPECT(to == 0, "a world of one rank holds no rank " + std::to_string(to));
  to_self_.push_back({0, tag, std::move(payload)});
}

std::optional<Message> LocalCommunicator::try_receive() {
  if (to_self_.empty()) return std::nullopt;
  Message message = std::move(to_self_.front());
  to_self_.pop_front();
  return message;
}

void LocalCommunicator::broadcast(Bytes&, int root) {
  RVSWEEP_EXPECT(root == 0, "a world of one rank holds no rank " + std::to_string(root));
}

void LocalCommunicator::abort(int exit_code) {
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

}  // namespace rvsweep
