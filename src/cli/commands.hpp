#pragma once
// The subcommands. Each takes the words after its name and returns the process's exit code.
#include <span>
#include <string>
#include <vector>

namespace rvsweep {

/// Exit codes of the contract, see `rvsweep --help`.
enum ExitCode : int {
  exit_done = 0,            // refused rows alone too
  exit_internal_error = 1,  // a defect, or a rank that died
  exit_bad_input = 2,
  exit_failed_rows = 3,
  exit_output_error = 4,  // the output folder cannot be written or is damaged
  exit_bits_differ = 5,   // of replay
  exit_stopped_early = 75,
};

using Arguments = std::vector<std::string>;

struct Command {
  std::string name;
  std::string summary;
  int (*run)(const Arguments&);
};

/// In the order of --help.
std::span<const Command> commands();

int plan_command(const Arguments& arguments);
int replay_command(const Arguments& arguments);
int run_command(const Arguments& arguments);
int status_command(const Arguments& arguments);
int doctor_command(const Arguments& arguments);
int merge_command(const Arguments& arguments);
int verify_command(const Arguments& arguments);
int tokenize_command(const Arguments& arguments);
int probe_command(const Arguments& arguments);

}  // namespace rvsweep
