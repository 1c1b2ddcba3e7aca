#pragma once
// The groups that plan.h5 and results.h5 share: /prompts, /pairs, /arms and the planned part of
// /rows. Functions on files throw h5::Error.
#include "rvsweep/storage/plan_file.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {

/// The four groups of plan.h5.
void write_static_tables(const h5::Handle& file, const SweepFacts& facts, const Plan& plan);

/// Copies of what lies in plan.h5 into results.h5.
void copy_prompt_table(const h5::Handle& plan, const h5::Handle& results);
void copy_pair_and_arm_tables(const h5::Handle& plan, const h5::Handle& results);
/// row_id, pair, arm and sample; status and reason are the caller's.
void copy_row_table(const h5::Handle& plan, const h5::Handle& results);

SweepFacts::Arms read_arms(const h5::Handle& file);
/// Prompts, pairs and rows of plan.h5.
void read_items(const h5::Handle& file, StoredSweep& sweep);

/// Ids of all rows of a plan.h5 or results.h5.
std::vector<std::uint64_t> read_row_ids(const h5::Handle& file);

/// /rows/status and /rows/reason of plan.h5.
ColumnSpec planned_status_column();
ColumnSpec planned_reason_column();

}  // namespace rvsweep
