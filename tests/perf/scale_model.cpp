// How many bundles per second the coordinator can serve, and how long ranks stand idle: the real
// coordinator and worker code with an executor that sleeps.
//   scale_model [--journal DIR]                                       1,024 simulated ranks here
//   mpirun --oversubscribe -n 16 scale_model [--journal DIR]          real ranks
#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "rvsweep/comm/world.hpp"
#include "rvsweep/core/wire.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/storage/journal.hpp"
#include "scheduler/dispatcher.hpp"
#include "scheduler/worker.hpp"
#include "support/memory_world.hpp"

namespace rvsweep {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int simulated_ranks = 1024;
constexpr int rows_per_bundle = 64;

double seconds_since(Clock::time_point begin) { return Seconds(Clock::now() - begin).count(); }

/// A bundle as a sweep of 60-token prompts and four arms has it.
Bundle typical_bundle(std::int32_t id) {
  Bundle bundle;
  bundle.id = BundleId{id};
  bundle.shape = {32, 64, rows_per_bundle};
  for (int c = 0; c < rows_per_bundle / 2; ++c)
    bundle.contexts.push_back(
        {PromptIndex(c), std::vector<std::int32_t>(60, 30000 + c), std::string(250, 'x'), true});
  for (int r = 0; r < rows_per_bundle; ++r)
    bundle.rows.push_back({RowIndex(r), ArmIndex(r % 4), 0, 0x123456789abcdefULL, r / 2, -1});
  return bundle;
}

WorkSource work(int items) {
  WorkSource source;
  for (int id = 0; id < items; ++id)
    source.items.push_back({id, 1.0 + static_cast<double>(id * 7919 % 1000) * 1e-3});
  source.payload = [bundle = typical_bundle(0)](std::int32_t id) mutable {
    bundle.id = BundleId{id};
    return to_bytes(bundle);
  };
  return source;
}

/// With a journal, what a run writes on the disk before bundles go out and after.
WorkEvents events_of(Journal* journal) {
  WorkEvents events;
  if (journal == nullptr) return events;
  events.on_assigned = [journal](const std::vector<Assignment>& assignments) {
    std::vector<BundleOfRank> bundles;
    for (const auto& [id, rank] : assignments) bundles.push_back({BundleId{id}, rank});
    journal->handed_out(bundles);
  };
  events.on_done = [journal](std::int32_t id, int rank, const Bytes&) {
    journal->done({BundleId{id}, rank});
  };
  return events;
}

void print(const char* world, int ranks, double task, int items, double wall, double busy) {
  std::printf("%-22s %5d ranks  bundle %6.3f s  %8d bundles  %9.0f bundles/s  idle %5.1f %%\n",
              world, ranks, task, items, items / wall, 100 * (1 - busy / (wall * ranks)));
  std::fflush(stdout);
}

/// The coordinator alone: ranks whose answers take no time, in one thread.
void serve_instant_ranks(int items, Journal* journal) {
  testing::MemoryWorld world(simulated_ranks);
  const WorkSource source = work(items);
  const WorkEvents events = events_of(journal);
  const StopPolicy stop;
  const auto begin = Clock::now();
  const std::clock_t cpu_begin = std::clock();
  Dispatcher dispatcher(world.rank(0), source, events, stop);
  const auto report = [&](int rank, Tag tag, Bytes payload = {}) {
    world.rank(rank).send(0, static_cast<int>(tag), std::move(payload));
  };
  for (int rank = 0; rank < simulated_ranks; ++rank) report(rank, Tag::ready);
  while (!dispatcher.finished()) {
    for (int i = 0; i < 64; ++i) {  // as many as run_work takes at a time
      auto message = world.rank(0).try_receive();
      if (!message) break;
      if (!is_order(static_cast<Tag>(message->tag))) {
        dispatcher.take(*message);
      } else if (static_cast<Tag>(message->tag) == Tag::assign) {
        report(0, Tag::done, to_bytes(ItemNote{from_bytes<ItemNote>(message->payload).id}));
      } else {
        report(0, Tag::goodbye);
      }
    }
    dispatcher.poll();
    for (int rank = 1; rank < simulated_ranks; ++rank)
      while (auto order = world.rank(rank).try_receive()) {
        if (static_cast<Tag>(order->tag) == Tag::assign)
          report(rank, Tag::done, to_bytes(ItemNote{from_bytes<ItemNote>(order->payload).id}));
        else
          report(rank, Tag::goodbye);
      }
  }
  const double cpu = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  std::printf("coordinator alone%s: %.0f bundles/s, %.0f per second of CPU time\n",
              journal ? ", journal" : "", items / seconds_since(begin), items / cpu);
  std::fflush(stdout);
}

/// One thread drives rank 0, one all other workers; every worker has its own compute thread.
void serve_simulated_ranks(double task, int items, Journal* journal) {
  testing::MemoryWorld world(simulated_ranks);
  const WorkSource source = work(items);
  const WorkEvents events = events_of(journal);
  const StopPolicy stop;
  std::atomic<double> busy = 0;
  const Executor executor = in_one_step([&](const Bytes&) {
    const auto begin = Clock::now();
    std::this_thread::sleep_for(Seconds(task));
    busy += seconds_since(begin);
    return Bytes();
  });
  std::vector<std::unique_ptr<Worker>> workers;
  for (int rank = 0; rank < simulated_ranks; ++rank)
    workers.push_back(std::make_unique<Worker>(world.rank(rank), executor, stop));
  const auto drive = [&](int rank) {
    Worker& worker = *workers[static_cast<std::size_t>(rank)];
    while (auto order = world.rank(rank).try_receive()) worker.obey(*order);
    worker.poll();
  };
  const auto begin = Clock::now();
  Dispatcher dispatcher(world.rank(0), source, events, stop);
  std::atomic<bool> over = false;
  std::jthread others([&] {
    while (!over) {
      for (int rank = 1; rank < simulated_ranks; ++rank) drive(rank);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  Worker& own = *workers[0];
  while (!dispatcher.finished()) {
    int taken = 0;
    for (; taken < 64; ++taken) {
      const auto message = world.rank(0).try_receive();
      if (!message) break;
      if (is_order(static_cast<Tag>(message->tag)))
        own.obey(*message);
      else
        dispatcher.take(*message);
    }
    own.poll();
    dispatcher.poll();
    if (taken == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  const double wall = seconds_since(begin);
  over = true;
  print(journal ? "simulated, journal" : "simulated", simulated_ranks, task, items, wall, busy);
}

void serve_mpi_ranks(Communicator& communicator, double task, int items, Journal* journal) {
  const WorkSource source = work(items);
  double busy = 0;
  const Executor executor = in_one_step([&](const Bytes&) {
    const auto begin = Clock::now();
    if (task > 0) std::this_thread::sleep_for(Seconds(task));
    busy += seconds_since(begin);
    return Bytes();
  });
  communicator.barrier();
  const auto begin = Clock::now();
  run_work(communicator, communicator.rank() == 0 ? &source : nullptr, executor, events_of(journal),
           {});
  const double wall = seconds_since(begin);
  double all_busy = 0;
  for (const auto& text : communicator.all_gather(std::to_string(busy)))
    all_busy += std::stod(text);
  if (communicator.rank() == 0)
    print(journal ? "MPI, journal" : "MPI", communicator.size(), task, items, wall, all_busy);
}

/// What the coordinator's own list takes, from the allocator's count.
void print_memory(int items) {
  const WorkSource source = work(items);
  const auto before = mallinfo2().uordblks;
  const Coordinator coordinator(source.items, simulated_ranks, source.max_attempts);
  const double bytes = static_cast<double>(mallinfo2().uordblks - before);
  std::printf(
      "coordinator: %.0f bytes a bundle, %.2f MB per million rows in bundles of %d; a bundle's "
      "message has %zu bytes\n",
      bytes / items, bytes / items * 1e6 / rows_per_bundle / 1e6, rows_per_bundle,
      source.payload(0).size());
  std::fflush(stdout);
}

int run(const std::filesystem::path& journal_folder) {
  const World world;
  Communicator& communicator = world.communicator();
  std::unique_ptr<Journal> journal;
  if (!journal_folder.empty() && communicator.rank() == 0) {
    std::filesystem::create_directories(journal_folder);
    journal = std::make_unique<Journal>(journal_folder);
    journal->begin(/*sweep_fingerprint=*/1, simulated_ranks, {});
  }
  if (communicator.size() > 1) {
    serve_mpi_ranks(communicator, 0, 40000, journal.get());
    for (const double task : {0.005, 0.02, 0.1})
      serve_mpi_ranks(communicator, task, static_cast<int>(3 / task) * communicator.size(),
                      journal.get());
    return 0;
  }
  print_memory(1000000);
  serve_instant_ranks(50000, journal.get());
  for (const double task : {0.2, 0.5, 1.0})
    serve_simulated_ranks(task, static_cast<int>(8 / task) * simulated_ranks, journal.get());
  return 0;
}

}  // namespace
}  // namespace rvsweep

int main(int argc, char** argv) {
  const bool with_journal = argc == 3 && std::string(argv[1]) == "--journal";
  if (argc != 1 && !with_journal) {
    std::fprintf(stderr, "usage: scale_model [--journal DIR]\n");
    return 2;
  }
  return rvsweep::run(with_journal ? argv[2] : "");
}
