#pragma once
// One bundle on one device, from tokens to the columns that a segment stores.
#include "rvsweep/core/phases.hpp"
#include "rvsweep/experiment/natural_states.hpp"
#include "rvsweep/experiment/sweep_settings.hpp"
#include "rvsweep/intervention/derived_donors.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// Everything a rank needs to compute bundles; nothing changes while a sweep runs.
struct BundleRunner {
  const Transformer& model;
  const Tokenizer& tokenizer;
  SweepSettings settings;
  std::vector<ColumnSpec> prompt_columns, row_columns;
  MeanDonors means = {};           // of the mean control
  NaturalStates natural = {};      // of readouts.state_distance
  StepObserver observe_step = {};  // of every decoded bundle
  PhaseClock* phases = nullptr;    // told what takes the time

  /// compute, then read_texts.
  BundleResult run(const Bundle& bundle) const;

  /// All but the texts and what is made of them. A row that cannot be computed is recorded as
  /// failed with its reason; an error that concerns the whole bundle makes all its rows failed. Run
  /// facts are left empty. DeviceError where the device is broken, DeviceMemoryError where the
  /// bundle finds too little memory twice.
  BundleResult compute(const Bundle& bundle) const;

  /// Fills in the texts and their behaviour; failures as in compute. Needs neither model nor
  /// device: another thread may compute a bundle meanwhile.
  void read_texts(const Bundle& bundle, BundleResult& result) const;
};

/// The bundle with nothing measured and every row failed for `reason`.
BundleResult failed_result(const Bundle& bundle, const std::vector<ColumnSpec>& prompt_columns,
                           const std::vector<ColumnSpec>& row_columns, const std::string& reason);

}  // namespace rvsweep
