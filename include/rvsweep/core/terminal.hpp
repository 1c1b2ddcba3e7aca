#pragma once
// The terminal on which stderr is seen.

namespace rvsweep {

/// Its descriptor, -1 for none. Open MPI hands the ranks a pipe, whose content mpirun, the parent
/// of the ranks on its own machine, writes to its own stderr.
int terminal_of_stderr();

/// Its columns: the variable COLUMNS, else what the terminal says, else 80.
int columns_of_stderr();

}  // namespace rvsweep
