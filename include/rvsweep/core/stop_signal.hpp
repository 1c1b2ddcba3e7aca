#pragma once
// Asking a running sweep to stop in good order, by signal.

namespace rvsweep {

/// From now on the first SIGUSR1, SIGTERM, SIGINT or SIGHUP only sets a flag; any further one of
/// them ends the process at once, as the system does by default. One that is ignored (nohup) stays
/// so. A file that grows over the size limit of the process is from now on an error of the write,
/// not a signal.
void install_stop_handlers();

/// Whether one of these signals has come.
bool stop_requested();

}  // namespace rvsweep
