#pragma once
// at::parallel_for for the loops of our own over numbers on a CPU.
#ifndef _OPENMP
#error "ATen/Parallel.h runs everything on one thread where its user is compiled without OpenMP"
#endif
#include <ATen/Parallel.h>
