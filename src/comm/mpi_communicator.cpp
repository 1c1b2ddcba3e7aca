#include "rvsweep/comm/mpi_communicator.hpp"

#include <mpi.h>

#include <climits>
#include <cstdlib>
#include <list>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "rvsweep/comm/backoff.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

int checked_count(std::size_t bytes) {
  RVSWEEP_EXPECT(bytes <= static_cast<std::size_t>(INT_MAX),
                 "MPI carries less than 2 GiB at once, not " + std::to_string(bytes) + " bytes");
  return static_cast<int>(bytes);
}

bool is_complete(MPI_Request& request) {
  int complete = 0;
  MPI_Test(&request, &complete, MPI_STATUS_IGNORE);
  return complete != 0;
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    MPI_Comm_dup(MPI_COMM_WORLD, &world_);  // keeps our messages apart from any library's
    MPI_Comm_rank(world_, &rank_);
    MPI_Comm_size(world_, &size_);
  }

  ~MpiCommunicator() override {
    patience_.reset();  // no exception may leave here
    for (Outgoing& message : outgoing_) wait_asleep(message.request);
    MPI_Comm_free(&world_);
  }

  void set_patience(std::optional<Seconds> limit) override { patience_ = limit; }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void send(int to, int tag, Bytes payload) override {
    RVSWEEP_EXPECT(to >= 0 && to < size_, "there is no rank " + std::to_string(to));
    RVSWEEP_EXPECT(tag >= 0, "a tag is 0 or more, not " + std::to_string(tag));
    const int count = checked_count(payload.size());
    if (to == rank_) {
      incoming_.push_back({MPI_REQUEST_NULL, {rank_, tag, std::move(payload)}});
      return;
    }
    release_sent();
    Outgoing& message = outgoing_.emplace_back(Outgoing{MPI_REQUEST_NULL, std::move(payload)});
    MPI_Isend(message.payload.data(), count, MPI_BYTE, to, tag, world_, &message.request);
  }

  std::optional<Message> try_receive() override {
    release_sent();
    start_receiving();
    return take_received();
  }

  void barrier() override {
    MPI_Request request;
    MPI_Ibarrier(world_, &request);
    wait_asleep(request);
  }

  void broadcast(Bytes& bytes, int root) override {
    unsigned long long length = bytes.size();
    MPI_Request request;
    MPI_Ibcast(&length, 1, MPI_UNSIGNED_LONG_LONG, root, world_, &request);
    wait_asleep(request);
    const int count = checked_count(length);
    bytes.resize(length);
    MPI_Ibcast(bytes.data(), count, MPI_BYTE, root, world_, &request);
    wait_asleep(request);
  }

  std::vector<std::string> all_gather(const std::string& text) override {
    const unsigned long long length = text.size();
    std::vector<unsigned long long> lengths(size_);
    MPI_Request request;
    MPI_Iallgather(&length, 1, MPI_UNSIGNED_LONG_LONG, lengths.data(), 1, MPI_UNSIGNED_LONG_LONG,
                   world_, &request);
    wait_asleep(request);
    // The sum is the same on every rank, so that all ranks refuse together.
    std::string all(checked_count(std::accumulate(lengths.begin(), lengths.end(), 0ULL)), '\0');
    const std::vector<int> counts(lengths.begin(), lengths.end());
    std::vector<int> offsets(size_);
    std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
    MPI_Iallgatherv(text.data(), counts[rank_], MPI_CHAR, all.data(), counts.data(), offsets.data(),
                    MPI_CHAR, world_, &request);
    wait_asleep(request);
    std::vector<std::string> texts;
    for (int rank = 0; rank < size_; ++rank)
      texts.push_back(all.substr(offsets[rank], counts[rank]));
    return texts;
  }

  [[noreturn]] void abort(int exit_code) override {
    MPI_Abort(world_, exit_code);
    std::_Exit(exit_code);  // MPI_Abort does not return, but is not declared so
  }

 private:
  struct Outgoing {
    MPI_Request request;
    Bytes payload;  // must stay until the request completes
  };
  struct Incoming {
    MPI_Request request;  // null of a message to itself: complete
    Message message;
  };

  /// MPI's blocking calls spin on a core while they wait; this sleeps in between.
  void wait_asleep(MPI_Request request) const {
    Silence others(1, patience_);
    for (Backoff backoff; !is_complete(request);) {
      others.listened();
      if (others.lost_rank()) throw RankLost("a rank that the others wait for", *patience_);
      std::this_thread::sleep_for(backoff.next());
    }
  }

  void release_sent() {
    outgoing_.remove_if([](Outgoing& message) { return is_complete(message.request); });
  }

  /// A long message arrives piece by piece, as its sender moves it on; receiving it must not block.
  void start_receiving() {
    int arrived = 0;
    MPI_Message handle;
    MPI_Status status;
    MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, world_, &arrived, &handle, &status);
    if (arrived == 0) return;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    Incoming& incoming = incoming_.emplace_back(
        Incoming{MPI_REQUEST_NULL, {status.MPI_SOURCE, status.MPI_TAG, Bytes(count)}});
    MPI_Imrecv(incoming.message.payload.data(), count, MPI_BYTE, &handle, &incoming.request);
  }

  /// The first complete message that no unfinished one of the same sender precedes.
  std::optional<Message> take_received() {
    std::set<int> unfinished_senders;
    for (auto it = incoming_.begin(); it != incoming_.end(); ++it) {
      if (unfinished_senders.contains(it->message.from)) continue;
      if (!is_complete(it->request)) {
        unfinished_senders.insert(it->message.from);
        continue;
      }
      Message message = std::move(it->message);
      incoming_.erase(it);
      return message;
    }
    return std::nullopt;
  }

  MPI_Comm world_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::optional<Seconds> patience_;
  std::list<Outgoing> outgoing_;
  std::list<Incoming> incoming_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator() {
  return std::make_unique<MpiCommunicator>();
}

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));  // Open MPI adds who built it and when
}

}  // namespace rvsweep
