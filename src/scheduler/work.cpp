#include "rvsweep/scheduler/work.hpp"

#include "rvsweep/comm/backoff.hpp"
#include "rvsweep/core/error.hpp"
#include "scheduler/dispatcher.hpp"
#include "scheduler/worker.hpp"

namespace rvsweep {
namespace {

// Between two rounds of messages, the rank's own results and hand-outs get their turn.
constexpr int messages_per_round = 64;

}  // namespace

Executor in_one_step(std::function<Bytes(const Bytes& payload)> work) {
  return [work = std::move(work)](const Bytes& payload) -> Commit {
    return [outcome = work(payload)] { return outcome; };
  };
}

WorkOutcome run_work(Communicator& communicator, const WorkSource* source, const Executor& executor,
                     const WorkEvents& events, const StopPolicy& stop) {
  RVSWEEP_EXPECT((communicator.rank() == 0) == (source != nullptr),
                 "rank 0, and it alone, gives the work");
  std::optional<Dispatcher> dispatcher;
  if (source != nullptr) dispatcher.emplace(communicator, *source, events, stop);
  Worker worker(communicator, executor, stop);

  Backoff backoff;
  while (!worker.outcome() || (dispatcher && !dispatcher->finished())) {
    bool busy = false;
    for (int i = 0; i < messages_per_round; ++i) {
      const std::optional<Message> message = communicator.try_receive();
      if (!message) break;
      busy = true;
      if (is_order(static_cast<Tag>(message->tag))) {
        worker.obey(*message);
      } else {
        RVSWEEP_EXPECT(dispatcher, "only rank 0 takes reports");
        dispatcher->take(*message);
      }
    }
    busy |= worker.poll();
    if (dispatcher) dispatcher->poll();
    if (busy)
      backoff.reset();
    else
      worker.wait_for_result(backoff.next());
  }
  communicator.barrier();
  return *worker.outcome();
}

}  // namespace rvsweep
