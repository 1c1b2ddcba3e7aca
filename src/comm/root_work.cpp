#include "rvsweep/comm/root_work.hpp"

#include <future>
#include <thread>

#include "rvsweep/comm/backoff.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

enum Tag : int { pulse, over };
constexpr std::chrono::seconds pulse_interval{1};

void tell_all(Communicator& communicator, Tag tag) {
  for (int rank = 1; rank < communicator.size(); ++rank) communicator.send(rank, tag, {});
}

void work_as_root(Communicator& communicator, const std::function<void()>& work) {
  auto working = std::async(std::launch::async, work);
  while (working.wait_for(pulse_interval) != std::future_status::ready)
    tell_all(communicator, pulse);
  working.get();
  tell_all(communicator, over);
}

void wait_for_root(Communicator& communicator, std::optional<Seconds> limit) {
  Silence root(1, limit);
  for (Backoff backoff;;) {
    const auto message = communicator.try_receive();
    root.listened();
    if (message) {
      RVSWEEP_EXPECT(message->from == 0 && (message->tag == pulse || message->tag == over),
                     "nobody but rank 0 speaks while it works");
      if (message->tag == over) return;
      root.heard(0);
    } else if (root.lost_rank()) {
      throw RankLost("rank 0", *limit);
    } else {
      std::this_thread::sleep_for(backoff.next());
    }
  }
}

}  // namespace

void root_works(Communicator& communicator, std::optional<Seconds> limit,
                const std::function<void()>& work) {
  if (communicator.size() == 1)
    work();
  else if (communicator.rank() == 0)
    work_as_root(communicator, work);
  else
    wait_for_root(communicator, limit);
}

}  // namespace rvsweep
