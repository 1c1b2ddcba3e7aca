#include "cli/commands.hpp"

namespace rvsweep {

std::span<const Command> commands() {
  static const Command all[] = {
      {"plan", "validate a sweep and show what it would compute", plan_command, true},
      {"run", "run or resume a sweep; ends with DIR/results.h5", run_command, true},
      {"status", "how far a sweep is; works while it runs and after it died", status_command},
      {"doctor", "what this machine offers, and what is wrong with it", doctor_command, true},
      {"replay", "one row again, step by step, its bits compared with the stored ones",
       replay_command, true},
      {"merge", "segments of a sweep folder -> results.h5", merge_command},
      {"verify", "check every checksum and that every row is present once", verify_command},
      {"tokenize", "texts to token ids, or back, line by line", tokenize_command},
      {"probe", "one text: tokens, logits, V and spectra of every layer", probe_command, true},
  };
  return all;
}

}  // namespace rvsweep
