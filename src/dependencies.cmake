# Every library from outside, as imported targets. Paths for clusters: LIBTORCH, HDF5_ROOT, BOOST_ROOT,
# MPI_HOME and CMAKE_PREFIX_PATH, as cache variables or in the environment.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
set(MPI_CXX_SKIP_MPICXX TRUE)  # the C++ bindings that the standard removed
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C HL)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

# libtorch: the folder of an unpacked libtorch, or of the torch package of the project's .venv.
# find_package(Torch) of that package insists on a CUDA toolkit, which nothing here needs.
set(LIBTORCH "$ENV{LIBTORCH}" CACHE PATH "libtorch folder (holds include/ and lib/)")
if(NOT LIBTORCH)
  file(GLOB venv_torch LIST_DIRECTORIES true
       "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
  if(NOT venv_torch)
    message(FATAL_ERROR "libtorch was not found: run jobs/setup.sh, which makes .venv, "
                        "or give -DLIBTORCH=/path/to/libtorch")
  endif()
  list(GET venv_torch 0 venv_torch)
  set(LIBTORCH "${venv_torch}" CACHE PATH "libtorch folder (holds include/ and lib/)" FORCE)
endif()
foreach(library torch_cpu c10)
  if(NOT EXISTS "${LIBTORCH}/lib/lib${library}.so")
    message(FATAL_ERROR "${LIBTORCH}/lib/lib${library}.so does not exist: "
                        "LIBTORCH must name a folder that holds include/ and lib/")
  endif()
endforeach()
message(STATUS "libtorch: ${LIBTORCH}")
add_library(libtorch INTERFACE)
# Headers of single operators: the umbrella header takes longer to read than most files to compile.
target_compile_definitions(libtorch INTERFACE AT_PER_OPERATOR_HEADERS)
# After the system's folders: libtorch brings headers of libraries (fmt) that the system has too, in
# another version.
target_compile_options(libtorch INTERFACE "SHELL:-idirafter ${LIBTORCH}/include")
target_link_libraries(libtorch INTERFACE "${LIBTORCH}/lib/libtorch_cpu.so" "${LIBTORCH}/lib/libc10.so")
# libtorch_cuda is opened at run time where a GPU is (src/kernels/device.cpp), so one binary serves both.
