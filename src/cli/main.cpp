#include <malloc.h>

#include <iostream>
#include <limits>
#include <new>

#include "cli/commands.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/version.hpp"
#include "rvsweep/kernels/caching_allocator.hpp"
#include "rvsweep/kernels/device.hpp"

namespace {

using namespace rvsweep;

void print_help() {
  std::cout
      << "rvsweep " << version_text()
      << "\nWhat does a language model's internal state carry from one prompt to another?\n\n"
         "Usage: rvsweep COMMAND [options]      (alone, or under mpirun / srun)\n\nCommands:\n";
  for (const Command& command : commands())
    std::cout << "  " << command.name << std::string(10 - command.name.size(), ' ')
              << command.summary << "\n";
  std::cout
      << "\nrvsweep COMMAND --help tells the options of a command.\n\n"
         "Exit codes: 0 done (refused rows alone too), 1 internal error or a rank that died,\n"
         "2 bad usage or input, 3 finished with failed rows, 4 output cannot be written or is\n"
         "damaged, 5 a replayed row has other bits, 6 GPUs fail or are too small, 75 stopped\n"
         "early in good order: run the same command again.\n";
}

int dispatch(const Arguments& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print_help();
    return words.empty() ? exit_bad_input : exit_done;
  }
  if (words[0] == "--version") {
    std::cout << "rvsweep " << version_text() << "\n";
    return exit_done;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    names.push_back(command.name);
    if (command.name != words[0]) continue;
    if (command.uses_device) open_gpu_support();
    return command.run({words.begin() + 1, words.end()});
  }
  throw InputError("", "unknown command \"" + words[0] + "\"",
                   name_hint(words[0], names) + " (rvsweep --help)");
}

}  // namespace

int main(int argc, char** argv) {
  // Memory that tensors give back is kept for the next ones: fresh pages cost more than they are
  // worth where logits of megabytes come and go at every token.
  use_caching_allocator();
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  start_log(0, 1);
  try {
    return dispatch(Arguments(argv + 1, argv + argc));
  } catch (const InputError& error) {
    spdlog::error("{}", error.what());
    return dynamic_cast<const OutputError*>(&error) ? exit_output_error : exit_bad_input;
  } catch (const DeviceError& error) {
    spdlog::error("{}", error.what());
    return exit_device_error;
  } catch (const std::bad_alloc&) {
    spdlog::error("memory cannot be had: free some, or raise the job's limit (ulimit -v, --mem)");
    return exit_internal_error;
  } catch (const std::exception& error) {
    spdlog::error("internal error: {}", error.what());
    return exit_internal_error;
  }
}
