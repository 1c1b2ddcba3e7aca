#pragma once
// Every dataset of plan.h5: /prompts, /pairs, /arms and the planned part of /rows, which results.h5
// gets as well, and beside them what only plan.h5 holds. Functions on files throw h5::Error.
#include <filesystem>

#include "rvsweep/storage/plan_file.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {

/// All of plan.h5; the arguments fit each other (plan_checks.hpp).
void write_plan(const h5::Handle& file, const SweepFacts& facts, const Plan& plan,
                const BundleOfItem& items);

/// Copies of what lies in plan.h5 into results.h5.
void copy_prompt_table(const h5::Handle& plan, const h5::Handle& results);
/// Pairs, arms, and of rows row_id, pair, arm and sample; status and reason are the caller's.
void copy_other_tables(const h5::Handle& plan, const h5::Handle& results);

/// Ids of all rows of a plan.h5 or results.h5.
std::vector<std::uint64_t> read_row_ids(const h5::Handle& file);

/// /rows/status and /rows/reason of plan.h5.
ColumnSpec planned_status_column();
ColumnSpec planned_reason_column();

struct OpenPlan {
  h5::Handle file;
  SweepFacts facts;
  BundleOfItem items;
};

/// DIR/plan.h5 with its checksum compared. InputError when there is none or it is damaged.
OpenPlan open_plan(const std::filesystem::path& sweep_folder);
/// Its prompts, pairs and rows, as open_plan.
void read_items(const std::filesystem::path& plan, const h5::Handle& file, StoredSweep& sweep);

}  // namespace rvsweep
