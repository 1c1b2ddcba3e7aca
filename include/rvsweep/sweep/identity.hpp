#pragma once
// What tells one sweep from another: everything that decides the bits of its rows.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/kernels/device.hpp"
#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

/// xxh3 of what is read from files beside the model (of what prompts files say, whatever their form
/// or line ends), 16 hexadecimal digits; empty where no row needs the file.
struct FileFingerprints {
  std::string prompts, families, token_sets, filler, chat_template, logprobs;
};

struct SweepIdentity {
  std::int64_t schema_version = 0;
  std::string rvsweep_version, git_commit;
  ConfigLines config;
  std::string model_path;
  std::string model_fingerprint, tokenizer_fingerprint;  // 16 hexadecimal digits
  std::string tensor_fingerprints;  // of the weights, see model/weight_source.hpp; decide nothing
  std::string model_notes;          // ModelConfig::notes, one a line
  FileFingerprints files;
  std::int64_t n_layers = 0, early_layer = 0, late_layer = 0;
  std::int64_t window = 0, bundle_rows = 0;
  std::string device, hardware, dtype;  // "cpu", "AVX512 with AMX" or the GPU's name, "float32"
  int threads = 0;                      // of one rank
  std::int64_t device_memory = 0;       // bytes of a GPU that bundles were planned for
  std::string libtorch_version;
  GpuLibraries gpu_libraries;  // empty on a CPU
};

/// Root attributes of plan.h5 and results.h5: name and text, in the order of the file. Empty texts
/// are left out.
using Attributes = std::vector<std::pair<std::string, std::string>>;
Attributes attributes_of(const SweepIdentity& identity);

/// The identity of a sweep in a folder; attributes that its version did not write keep their
/// defaults.
SweepIdentity stored_identity(const SweepFacts& facts);

/// Over all that decides results: not the commit, paths, or the [run] section as it was written.
std::uint64_t fingerprint_of(const SweepIdentity& identity);

struct Difference {
  std::string key;  // "section.key" of the configuration, or the name of an attribute
  std::string was, now;
  std::string text() const;  // `window was "16", is now "8"`
};

/// What of all that fingerprint_of covers differs between a folder's sweep and the one asked for.
std::vector<Difference> differences(const SweepIdentity& stored, const SweepIdentity& asked);

}  // namespace rvsweep
