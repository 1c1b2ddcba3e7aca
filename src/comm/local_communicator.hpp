#pragma once
// A world of one rank that needs no MPI.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <utility>

#include "rvsweep/comm/communicator.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {

class LocalCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void send(int to, int tag, Bytes payload) override {
    expect_this_rank(to);
    to_self_.push_back({0, tag, std::move(payload)});
  }
  std::optional<Message> try_receive() override {
    if (to_self_.empty()) return std::nullopt;
    Message message = std::move(to_self_.front());
    to_self_.pop_front();
    return message;
  }
  void set_patience(std::optional<Seconds>) override {}
  void barrier() override {}
  void broadcast(Bytes&, int root) override { expect_this_rank(root); }
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  [[noreturn]] void abort(int exit_code) override {
    std::fflush(nullptr);
    std::_Exit(exit_code);
  }

 private:
  static void expect_this_rank(int rank) {
    RVSWEEP_EXPECT(rank == 0, "a world of one rank holds no rank " + std::to_string(rank));
  }

  std::deque<Message> to_self_;
};

}  // namespace rvsweep
