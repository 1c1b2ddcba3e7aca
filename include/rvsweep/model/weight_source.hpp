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
};

/// The safetensors files of `folder`, their headers checked against `config`; or, with a seed,
/// weights that are drawn. Throws InputError as read_safetensors_index and check_tensors do.
WeightSource find_weights(const std::filesystem::path& folder, const ModelConfig& config,
                          std::optional<std::uint64_t> seed);

/// xxh3 over config.json and every weight byte, in order of tensor name, or over config.json and
/// the seed: the model's identity.
std::uint64_t model_fingerprint(const WeightSource& source);

/// A file open for reading at any offset by any thread. InputError where that fails.
class WeightFile {
 public:
  explicit WeightFile(std::filesystem::path path);
  void read(std::uint64_t offset, std::byte* into, std::size_t bytes) const;

 private:
  Descriptor file_;
};

/// One thread's way to the numbers of parameters, read or drawn.
class WeightReader {
 public:
  explicit WeightReader(const WeightSource& source) : source_(source) {}

  /// Writes numbers [first, first + n) of a parameter, converted to `dtype`. `first` is even.
  void read(const std::string& name, std::int64_t first, std::int64_t n, at::ScalarType dtype,
            std::byte* into);

 private:
  const WeightSource& source_;
  std::map<std::filesystem::path, WeightFile> files_;  // those read from so far
  std::vector<std::byte> unconverted_;
};

/// Numbers [first, first + n) of a parameter: what a thread takes at once, few enough to stay in
/// its cache.
struct WeightSlice {
  const WeightSlot* slot;
  std::int64_t first, n;
};

/// Appends the slices of a slot, which must outlive them, in whole multiples of `unit` numbers.
void append_slices(const WeightSlot& slot, std::int64_t unit, std::vector<WeightSlice>& slices);

using Counter = std::atomic<std::uint32_t>;

/// Calls a worker of each of `threads` threads with numbers below `pieces` that none has had,
/// `taken` counting them; that it lies in shared memory lets processes share a work. Returns when
/// no piece is left to take; throws what the first worker that failed did.
void take_in_turn(Counter& taken, std::size_t pieces, int threads,
                  const std::function<std::function<void(std::size_t)>()>& make_worker);

/// Reads (or draws) every parameter of the layout once on `threads` threads, converts it to
/// layout.dtype and writes it to `into` [layout.bytes]. Throws InputError when a file cannot be
/// read. Drawn weights: norms 1, biases 0, all else nearly normal with mean 0; a parameter's
/// numbers depend on seed and name alone, whatever the machine.
void read_parameters(const WeightSource& source, const WeightLayout& layout, int threads,
                     std::byte* into);

/// The whole layout as a block in the memory of `device`, uint8 [layout.bytes].
at::Tensor load_block(const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads);

}  // namespace rvsweep
