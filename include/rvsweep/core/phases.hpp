#pragma once
// Where a rank's time goes: seconds by phase, for /run and for benchmarks.
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace rvsweep {

/// What a rank is doing. On a GPU the phases from prefill to readouts are the host's: work that was
/// started and not waited for counts where somebody waits for it.
enum class Phase {
  load,      // weights read, packed, sent
  tokenise,  // prompts read, tokenised and planned (rank 0)
  prefill,   // prompts' caches, donors, rows' caches
  decode,    // generation
  spectra,   // singular values and what is made of them
  readouts,  // logits, texts read again
  wait,      // nothing to compute
  // On a thread of their own, beside the others:
  texts,  // decoded, and their behaviour
  hdf5    // segments written, read back and committed
};

/// In the order of Phase.
const std::vector<std::string>& phase_names();

/// Sums; threads of a rank may add at once.
class PhaseClock {
 public:
  PhaseClock();
  void add(Phase phase, double seconds);
  std::vector<double> seconds() const;  // in the order of Phase

 private:
  mutable std::mutex mutex_;
  std::vector<double> seconds_;
};

/// Adds the time of its own life to a clock, where there is one.
class PhaseTimer {
 public:
  PhaseTimer(PhaseClock* clock, Phase phase);
  ~PhaseTimer();
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  PhaseClock* clock_;
  Phase phase_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace rvsweep
