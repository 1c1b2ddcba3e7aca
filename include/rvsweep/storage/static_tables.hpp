#pragma once
// The groups that plan.h5 and results.h5 share: /prompts, /pairs, /arms and the planned part of
// /rows.
#include "rvsweep/storage/h5_column.hpp"
#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

void write_prompt_table(const h5::Handle& file, const StaticSweep& sweep, h5::Layout layout);
void write_pair_and_arm_tables(const h5::Handle& file, const StaticSweep& sweep, h5::Layout layout);
/// row_id, pair, arm and sample; status and reason are the caller's.
void write_row_table(const h5::Handle& file, const StaticSweep& sweep, h5::Layout layout);

/// Reads what the three functions wrote into `sweep`.
void read_static_tables(const h5::Handle& file, StaticSweep& sweep);

/// Ids of all rows of a plan.h5 or results.h5.
std::vector<std::uint64_t> read_row_ids(const h5::Handle& file);

/// /rows/status and /rows/reason of plan.h5.
ColumnSpec planned_status_column();
ColumnSpec planned_reason_column();

}  // namespace rvsweep
