#include "rvsweep/core/phases.hpp"

namespace rvsweep {

const std::vector<std::string>& phase_names() {
  static const std::vector<std::string> names{
      "load", "tokenise", "prefill", "decode", "spectra", "readouts", "wait", "texts", "hdf5"};
  return names;
}

PhaseClock::PhaseClock() : seconds_(phase_names().size()) {}

void PhaseClock::add(Phase phase, double seconds) {
  const std::scoped_lock lock(mutex_);
  seconds_.at(static_cast<std::size_t>(phase)) += seconds;
}

std::vector<double> PhaseClock::seconds() const {
  const std::scoped_lock lock(mutex_);
  return seconds_;
}

PhaseTimer::PhaseTimer(PhaseClock* clock, Phase phase)
    : clock_(clock), phase_(phase), begin_(std::chrono::steady_clock::now()) {}

PhaseTimer::~PhaseTimer() {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin_;
  if (clock_ != nullptr) clock_->add(phase_, seconds.count());
}

}  // namespace rvsweep
