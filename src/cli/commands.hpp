#pragma once
// The subcommands. Each takes the words after its name and returns the process's exit code.
#include <span>
#include <string>
#include <vector>

#include "rvsweep/core/exit_code.hpp"

namespace rvsweep {

using Arguments = std::vector<std::string>;

struct Command {
  std::string name;
  std::string summary;
  int (*run)(const Arguments&);
  bool uses_device = false;  // computes on one, or tells of it
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
