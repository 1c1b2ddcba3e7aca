#pragma once
// What plan.h5 has beside the tables of static_tables.hpp, and the open file. For this module only.
#include <exception>
#include <filesystem>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "storage/h5.hpp"

namespace rvsweep {

/// ContractError when what is written, or read, contradicts itself.
void write_sweep_facts(const h5::Handle& file, const SweepFacts& facts, std::int32_t n_bundles);
void write_bundle_of_item(const h5::Handle& file, const BundleOfItem& items, bool is_extended);

/// What to say of a plan with a sound checksum that cannot be read.
InputError not_of_this_version(const std::filesystem::path& plan, const std::exception& error);

struct OpenPlan {
  h5::Handle file;
  SweepFacts facts;
  BundleOfItem items;
};

/// DIR/plan.h5 with its checksum compared. InputError when there is none or it is damaged.
OpenPlan open_plan(const std::filesystem::path& sweep_folder);

}  // namespace rvsweep
