#pragma once
// Simulated ranks in one process: messages go from mailbox to mailbox. For the scheduler's
// point-to-point work; there are no collectives.
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "rvsweep/comm/communicator.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::testing {

class MemoryWorld {
 public:
  explicit MemoryWorld(int ranks) : mailboxes_(static_cast<std::size_t>(ranks)) {
    for (int rank = 0; rank < ranks; ++rank) ranks_.emplace_back(*this, rank);
  }
  MemoryWorld(const MemoryWorld&) = delete;
  MemoryWorld& operator=(const MemoryWorld&) = delete;

  /// Each rank's end may be used from a thread of its own.
  Communicator& rank(int rank) { return ranks_.at(static_cast<std::size_t>(rank)); }

 private:
  struct Mailbox {
    std::mutex mutex;
    std::deque<Message> messages;
  };

  class Rank final : public Communicator {
   public:
    Rank(MemoryWorld& world, int rank) : world_(world), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(world_.mailboxes_.size()); }
    void send(int to, int tag, Bytes payload) override {
      Mailbox& mailbox = world_.mailboxes_.at(static_cast<std::size_t>(to));
      const std::scoped_lock lock(mailbox.mutex);
      mailbox.messages.push_back({rank_, tag, std::move(payload)});
    }
    std::optional<Message> try_receive() override {
      Mailbox& mailbox = world_.mailboxes_[static_cast<std::size_t>(rank_)];
      const std::scoped_lock lock(mailbox.mutex);
      if (mailbox.messages.empty()) return std::nullopt;
      Message message = std::move(mailbox.messages.front());
      mailbox.messages.pop_front();
      return message;
    }
    void set_patience(std::optional<Seconds>) override {}
    void barrier() override { no_collectives(); }
    void broadcast(Bytes&, int) override { no_collectives(); }
    std::vector<std::string> all_gather(const std::string&) override { no_collectives(); }
    [[noreturn]] void abort(int) override { no_collectives(); }

   private:
    [[noreturn]] static void no_collectives() {
      throw ContractError("simulated ranks know point-to-point messages only");
    }
    MemoryWorld& world_;
    int rank_;
  };

  std::deque<Mailbox> mailboxes_;
  std::deque<Rank> ranks_;
};

}  // namespace rvsweep::testing
