#pragma once
// The world of ranks as the scheduler sees it: point-to-point bytes and a few collectives.
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/comm/silence.hpp"
#include "rvsweep/core/wire.hpp"

namespace rvsweep {

struct Message {
  int from = 0;
  int tag = 0;
  Bytes payload;
};

/// All calls come from one thread per rank (MPI_THREAD_FUNNELED). A payload, a broadcast and the
/// texts of one all_gather together hold less than 2 GiB each; more is a ContractError.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Returns at once; the message may still be under way then, and makes progress in later calls of
  /// any member. A rank may send to itself. Tags are 0 or more.
  virtual void send(int to, int tag, Bytes payload) = 0;
  /// The next message that has arrived, in order per sender; never blocks.
  virtual std::optional<Message> try_receive() = 0;
  /// From now on a collective that takes longer than `limit` throws RankLost. None, as at the
  /// start: it may take for ever.
  virtual void set_patience(std::optional<Seconds> limit) = 0;
  /// Collectives: every rank calls them in the same order. Waiting ranks sleep rather than spin.
  virtual void barrier() = 0;
  /// After the call every rank holds root's bytes.
  virtual void broadcast(Bytes& bytes, int root) = 0;
  /// One text per rank in rank order, on every rank.
  virtual std::vector<std::string> all_gather(const std::string& text) = 0;
  /// Ends every rank of the world at once.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

}  // namespace rvsweep
