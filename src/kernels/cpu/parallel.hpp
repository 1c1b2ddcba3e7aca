#pragma once
// at::parallel_for for loops of our own on a CPU.
#ifndef _OPENMP
#error "ATen/Parallel.h runs everything on one thread where its user is compiled without OpenMP"
#endif
#include <ATen/Parallel.h>
