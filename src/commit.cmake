# Writes OUTPUT with the commit of SOURCE ("unknown" outside a git checkout), only when it changes.
execute_process(
  COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE commit
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define RVSWEEP_COMMIT \"${commit}\"\n")
