# cmake --install BUILD --prefix P: P/bin/rvsweep, its manual page and completion, and in P/share/rvsweep what
# a checkout holds beside the program: jobs, configs, batch files and the analysis package (pip install P/share/rvsweep).
include(GNUInstallDirs)

# The libraries it was linked with, wherever they lie; of those in a checkout CMake leaves out the path by itself.
set_target_properties(rvsweep PROPERTIES INSTALL_RPATH "${LIBTORCH}/lib" INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS rvsweep RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(shared ${CMAKE_INSTALL_DATADIR}/rvsweep)
install(
  DIRECTORY analysis configs jobs slurm
  DESTINATION ${shared}
  USE_SOURCE_PERMISSIONS
  PATTERN __pycache__ EXCLUDE)
install(FILES CITATION.cff LICENSE README.md pyproject.toml requirements.txt DESTINATION ${shared})
install(
  FILES src/completion.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME rvsweep)

set(man_page ${CMAKE_BINARY_DIR}/rvsweep.1)
install(CODE "execute_process(COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:rvsweep> -DOUTPUT=${man_page} -P
  ${CMAKE_CURRENT_SOURCE_DIR}/src/man_page.cmake COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
