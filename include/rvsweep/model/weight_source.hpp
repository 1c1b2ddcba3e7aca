#pragma once
// Where a model's parameters come from, and how they get into its block of memory.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/model/weights.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {

struct WeightSource {
  std::filesystem::path folder;
  TensorIndex files;                  // empty for drawn weights
  std::optional<std::uint64_t> seed;  // of drawn weights
  double initializer_range = 0.02;    // standard deviation of drawn weights
  float norm_weight = 1;              // of drawn norms
};

/// The safetensors files of `folder` (own_tensors), their headers checked against `config`; or,
/// with a seed, weights that are drawn. A head that config.json ties to the embedding, while the
/// files hold both and they differ, becomes untied in `config`, as in transformers 5. Throws
/// InputError as read_safetensors_index and check_tensors do.
WeightSource find_weights(const std::filesystem::path& folder, ModelConfig& config,
                          std::optional<std::uint64_t> seed);

/// The model's identity.
struct ModelFingerprint {
  std::uint64_t digest = 0;  // xxh3 over the configuration and every weight byte, in order of
                             // tensor name, or over the configuration and the seed
  std::string tensors;       // the first 8 hexadecimal digits of each tensor's own, in that order
};

/// `config` is what of the configuration decides results (model_config/deciding_bytes.hpp).
ModelFingerprint model_fingerprint(const WeightSource& source, std::string_view config);

/// The files of tensors, opened as they are needed.
class WeightFiles {
 public:
  /// Bytes of a tensor from its byte `offset` on. InputError where they cannot be read.
  void read(const TensorEntry& entry, std::uint64_t offset, std::byte* into, std::size_t bytes);

 private:
  std::map<std::filesystem::path, Descriptor> files_;
};

/// Reads or draws elements of parameters; one per thread.
class WeightReader {
 public:
  explicit WeightReader(const WeightSource& source) : source_(source) {}

  /// Writes elements [first, first + n) of a parameter, converted to `dtype`. `first` is even.
  void read(const Parameter& parameter, std::int64_t first, std::int64_t n, at::ScalarType dtype,
            std::byte* into);

 private:
  void read_in_file_order(const Parameter& parameter, const TensorEntry& entry, std::int64_t first,
                          std::int64_t n, std::size_t item, std::byte* into);
  const WeightSource& source_;
  WeightFiles files_;
  std::vector<std::byte> unconverted_;
  std::string whole_name_;  // of the tensor in whole_, in the file's order
  std::vector<std::byte> whole_;
};

/// Elements [first, first + n) of a parameter: one thread's piece of work, which stays in its
/// cache.
struct WeightSlice {
  const StoredParameter* parameter;
  std::int64_t first, n;
};

/// Appends the slices of a parameter, which must outlive them, in whole multiples of `unit`
/// elements.
void append_slices(const StoredParameter& parameter, std::int64_t unit,
                   std::vector<WeightSlice>& slices);

using WorkCounter = std::atomic<std::uint32_t>;

/// Work sharing by an atomic counter, which may lie in shared memory for processes to share it:
/// each of `threads` threads makes a worker and calls it with the indices below `pieces` that it
/// takes from `taken`. Returns when all are taken; rethrows the first failure.
void share_work(WorkCounter& taken, std::size_t pieces, int threads,
                const std::function<std::function<void(std::size_t)>()>& make_worker);

/// Reads (or draws) every parameter of the layout once on `threads` threads, converts it to
/// layout.dtype and writes it to `into` [layout.bytes]. Throws InputError when a file cannot be
/// read. Drawn weights: norms 1 (0 where they add 1), biases 0, all else nearly normal with mean 0;
/// a parameter's elements depend on seed and name alone, whatever the machine.
void read_parameters(const WeightSource& source, const WeightLayout& layout, int threads,
                     std::byte* into);

/// The whole layout as a block in the memory of `device`, uint8 [layout.bytes].
at::Tensor load_block(const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads);

}  // namespace rvsweep
