#pragma once
// A world of one rank that needs no MPI.
#include <deque>

#include "rvsweep/comm/communicator.hpp"

namespace rvsweep {

class LocalCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void send(int to, int tag, Bytes payload) override;
  std::optional<Message> try_receive() override;
  void set_patience(std::optional<Seconds>) override {}
  void barrier() override {}
  void broadcast(Bytes& bytes, int root) override;
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  [[noreturn]] void abort(int exit_code) override;

 private:
  std::deque<Message> to_self_;
};

}  // namespace rvsweep
