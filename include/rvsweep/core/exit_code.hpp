#pragma once

namespace rvsweep {

/// Exit codes of the contract, see `rvsweep --help`.
enum ExitCode : int {
  exit_done = 0,            // refused rows alone too
  exit_internal_error = 1,  // a defect, or a rank that died
  exit_bad_input = 2,
  exit_failed_rows = 3,
  exit_output_error = 4,  // the output folder cannot be written or is damaged
  exit_bits_differ = 5,   // of replay
  exit_device_error = 6,  // no rank has a device left that works, or its memory does not suffice
  exit_stopped_early = 75,
};

}  // namespace rvsweep
