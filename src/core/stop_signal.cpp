#include "rvsweep/core/stop_signal.hpp"

#include <atomic>
#include <csignal>

namespace rvsweep {
namespace {

constexpr int stop_signals[] = {SIGUSR1, SIGTERM, SIGINT, SIGHUP};

// A handler may touch lock-free atomics only; there is one set of handlers per process.
std::atomic<bool> requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void set_all(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // a write in progress goes on
  sigemptyset(&action.sa_mask);
  for (int signal : stop_signals) sigaddset(&action.sa_mask, signal);
  for (int signal : stop_signals) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup ignores SIGHUP
  }
}

void note_first(int signal) {
  const bool is_second = requested.exchange(true);  // both came at once, to two threads
  set_all(SIG_DFL);                                 // sigaction may be called from a handler
  if (is_second) std::raise(signal);                // acts when this handler has ended
}

}  // namespace

void install_stop_handlers() {
  set_all(note_first);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool stop_requested() { return requested; }

}  // namespace rvsweep
