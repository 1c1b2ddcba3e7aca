# Writes OUTPUT, rvsweep(1), from what PROGRAM's own --help says of itself and of every command.
function(help_of output)
  execute_process(
    COMMAND ${PROGRAM} ${ARGN} --help
    OUTPUT_VARIABLE text
    COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\\" "\\e" text "${text}")
  string(REPLACE "-" "\\-" text "${text}")
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

execute_process(
  COMMAND ${PROGRAM} --help
  OUTPUT_VARIABLE overview
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "rvsweep ([0-9.]+)" version "${overview}")
string(REGEX MATCHALL "\n  [a-z]+  " commands "${overview}")

help_of(text)
set(page ".TH RVSWEEP 1 \"\" \"${version}\" \"User commands\"\n.SH NAME\nrvsweep \\- activation patching \
and value\\-space geometry at scale\n.SH DESCRIPTION\n.nf\n${text}.fi\n.SH COMMANDS\n")
foreach(command ${commands})
  string(STRIP "${command}" command)
  help_of(text ${command})
  string(APPEND page ".SS ${command}\n.nf\n${text}.fi\n")
endforeach()
string(APPEND page ".SH SEE ALSO\nThe pages beside the jobs, in share/rvsweep: README.md, jobs/README.md, \
analysis/README.md, slurm/README.md.\n")
file(WRITE ${OUTPUT} "${page}")
