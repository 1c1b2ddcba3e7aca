#pragma once
// Names for the axes of results.h5, as HDF5 dimension scales: netCDF readers, xarray among them,
// open it with named dimensions and coordinates.
#include "storage/h5.hpp"

namespace rvsweep {

/// Attaches a scale to every axis of every dataset. The first axis of a table has the column that
/// names its items (`/rows/row_id`, `/prompts/id`), further ones a dataset of the root that counts
/// from 0 (`layer`, `rank`, `step`). For a file whose datasets are all written. Throws h5::Error.
void attach_dimension_scales(const h5::Handle& file);

}  // namespace rvsweep
