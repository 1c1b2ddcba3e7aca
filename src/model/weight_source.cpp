#include "rvsweep/model/weight_source.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/kernels/upload.hpp"

namespace rvsweep {
namespace {

static_assert(WorkCounter::is_always_lock_free, "processes can share it");

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  RVSWEEP_EXPECT(dtype == "F16", "check_tensors admits no other dtype");
  return at::kHalf;
}

/// Elements [first, first + n) of a drawn parameter. Sums of four 16-bit uniform numbers are nearly
/// normal and, being integers, the same on every machine; their standard deviation is
/// sqrt((2^32 - 1) / 3).
void draw(const WeightSource& source, const Parameter& parameter, std::int64_t first,
          std::int64_t n, float* out) {
  if (parameter.role == Role::norm_weight || parameter.role == Role::bias) {
    std::fill_n(out, n, parameter.role == Role::bias ? 0.0F : source.norm_weight);
    return;
  }
  const std::uint64_t key = xxh3_fields({std::to_string(*source.seed), parameter.name});
  const auto scale = static_cast<float>(source.initializer_range / std::sqrt(4294967295.0 / 3.0));
  const auto value = [&](std::uint32_t a, std::uint32_t b) {
    const auto sum = static_cast<std::int32_t>((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16));
    return static_cast<float>(sum - 131070) * scale;
  };
  RVSWEEP_EXPECT(first % 2 == 0, "a slice begins with a whole block of the generator");
  for (std::int64_t i = 0; i < n; i += 2) {
    const auto counter = static_cast<std::uint64_t>((first + i) / 2);
    const auto x = philox4x32_10(
        {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
        {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
    out[i] = value(x[0], x[1]);
    if (i + 1 < n) out[i + 1] = value(x[2], x[3]);
  }
}

/// Short enough that libtorch converts it in the calling thread: it shares out 32,768 elements or
/// more.
constexpr std::int64_t conversion_numel = 1 << 14;

void convert(const std::byte* from, at::ScalarType from_type, std::byte* to, at::ScalarType to_type,
             std::int64_t n) {
  for (std::int64_t first = 0; first < n; first += conversion_numel) {
    const auto part = std::min(conversion_numel, n - first);
    const auto at_first = [&](const std::byte* data, at::ScalarType type) {
      return const_cast<std::byte*>(data) +
             first * static_cast<std::int64_t>(at::elementSize(type));
    };
    at::from_blob(at_first(to, to_type), {part}, to_type)
        .copy_(at::from_blob(at_first(from, from_type), {part}, from_type));
  }
}

/// Gives tensors the names of parameters, as transformers does: a base model's files leave out the
/// first part of every name ("model."), and safetensors' save_model keeps a tied embedding under
/// the head's name alone.
void use_parameter_names(const std::vector<Parameter>& parameters, TensorIndex& index) {
  const std::string head = "lm_head.weight";
  const std::string& embedding =
      std::ranges::find(parameters, Slot::embedding, &Parameter::slot)->name;
  const std::string prefix = embedding.substr(0, embedding.find('.') + 1);
  if (std::ranges::none_of(index, [&](const auto& t) { return t.first.starts_with(prefix); })) {
    TensorIndex named;
    for (auto& [name, entry] : index)
      named.emplace(name == head ? name : prefix + name, std::move(entry));
    index = std::move(named);
  }
  const bool tied = std::ranges::find(parameters, Slot::head, &Parameter::slot) == parameters.end();
  if (!tied || index.contains(embedding)) return;
  if (auto tensor = index.extract(head)) {
    tensor.key() = embedding;
    index.insert(std::move(tensor));
  }
}

/// Whether the files hold a head besides the embedding, with other bytes.
bool has_own_head(const TensorIndex& files, ModelConfig config) {
  config.tied_head = false;
  const auto parameters = parameters_of(config);
  const auto entry_of = [&](Slot slot) {
    const auto found = files.find(std::ranges::find(parameters, slot, &Parameter::slot)->name);
    return found == files.end() ? nullptr : &found->second;
  };
  const TensorEntry *embedding = entry_of(Slot::embedding), *head = entry_of(Slot::head);
  if (embedding == nullptr || head == nullptr) return false;
  if (embedding->dtype != head->dtype || embedding->shape != head->shape) return true;
  WeightFiles open;
  std::vector<std::byte> a(1 << 20), b(a.size());
  for (std::uint64_t done = 0, all = head->end - head->begin; done < all; done += a.size()) {
    const auto bytes = std::min<std::uint64_t>(a.size(), all - done);
    open.read(*embedding, done, a.data(), bytes);
    open.read(*head, done, b.data(), bytes);
    if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bytes), b.begin()))
      return true;
  }
  return false;
}

/// Enough for a copy at full speed.
constexpr std::int64_t upload_bytes = 64 << 20;

std::vector<WeightSlice> slices_of(const WeightLayout& layout) {
  std::vector<WeightSlice> slices;
  for (const StoredParameter& parameter : layout.parameters)
    append_slices(parameter, /*unit=*/2, slices);
  return slices;
}

/// Reads slices of a layout on `threads` threads; its byte `begin` lies at `into`.
void read_slices(const WeightSource& source, at::ScalarType dtype,
                 const std::vector<WeightSlice>& slices, int threads, std::int64_t begin,
                 std::byte* into) {
  const auto item = static_cast<std::int64_t>(at::elementSize(dtype));
  WorkCounter taken = 0;
  share_work(taken, slices.size(), threads, [&] {
    return [&, reader = std::make_shared<WeightReader>(source)](std::size_t i) {
      const auto& [parameter, first, n] = slices[i];
      reader->read(*parameter, first, n, dtype, into + (parameter->offset + first * item - begin));
    };
  });
}

}  // namespace

WeightSource find_weights(const std::filesystem::path& folder, ModelConfig& config,
                          std::optional<std::uint64_t> seed) {
  WeightSource source{folder,
                      {},
                      seed,
                      config.initializer_range,
                      config.norm == NormKind::rms_plus_one ? 0.0F : 1.0F};
  if (seed) return source;
  source.files = own_tensors(config, read_safetensors_index(folder));
  use_parameter_names(parameters_of(config), source.files);
  if (config.tied_head && has_own_head(source.files, config)) {
    config.tied_head = false;
    config.notes.push_back(
        "the head in the files differs from the embedding that config.json ties it to, and is "
        "used");
  }
  check_tensors(config, source.files);
  return source;
}

ModelFingerprint model_fingerprint(const WeightSource& source, std::string_view config) {
  Hasher hasher;
  ModelFingerprint fingerprint;
  hasher.update(config);
  if (source.seed) hasher.update("random weights " + std::to_string(*source.seed));
  WeightFiles files;
  std::vector<std::byte> buffer(1 << 20);
  for (const auto& [name, entry] : source.files) {
    hasher.update(name);
    Hasher own;
    const std::uint64_t size = entry.end - entry.begin;
    for (std::uint64_t at = 0; at < size; at += buffer.size()) {
      const auto bytes = std::min<std::uint64_t>(buffer.size(), size - at);
      files.read(entry, at, buffer.data(), bytes);
      hasher.update(buffer.data(), bytes);
      own.update(buffer.data(), bytes);
    }
    fingerprint.tensors += hex(own.digest()).substr(0, 8);
  }
  fingerprint.digest = hasher.digest();
  return fingerprint;
}

void WeightFiles::read(const TensorEntry& entry, std::uint64_t offset, std::byte* into,
                       std::size_t bytes) {
  const auto file = files_.try_emplace(entry.file, entry.file, O_RDONLY, input_errors()).first;
  if (file->second.read_at(entry.begin + offset, into, bytes) < bytes)
    throw InputError(entry.file.string(), "has become shorter since its header was read",
                     "copy or download it again");
}

void WeightReader::read(const Parameter& parameter, std::int64_t first, std::int64_t n,
                        at::ScalarType dtype, std::byte* into) {
  const TensorEntry* entry = source_.seed ? nullptr : &source_.files.at(parameter.name);
  const at::ScalarType type = entry == nullptr ? at::kFloat : scalar_type(entry->dtype);
  const auto bytes = static_cast<std::size_t>(n) * at::elementSize(type);
  std::byte* raw = into;
  if (type != dtype) {
    unconverted_.resize(std::max(unconverted_.size(), bytes));
    raw = unconverted_.data();
  }
  if (entry == nullptr)
    draw(source_, parameter, first, n, reinterpret_cast<float*>(raw));
  else if (parameter.transposed || parameter.head_rows > 0)
    read_in_file_order(parameter, *entry, first, n, at::elementSize(type), raw);
  else
    files_.read(*entry, static_cast<std::uint64_t>(first) * at::elementSize(type), raw, bytes);
  if (type != dtype) convert(raw, type, into, dtype, n);
}

/// Elements that lie apart in the file: the tensor is read once and kept for the slices that
/// follow.
void WeightReader::read_in_file_order(const Parameter& parameter, const TensorEntry& entry,
                                      std::int64_t first, std::int64_t n, std::size_t item,
                                      std::byte* into) {
  if (whole_name_ != parameter.name) {
    whole_.resize(static_cast<std::size_t>(parameter.numel()) * item);
    files_.read(entry, 0, whole_.data(), whole_.size());
    whole_name_ = parameter.name;
  }
  for (std::int64_t i = 0; i < n; ++i, into += item) {
    const auto place = static_cast<std::size_t>(parameter.place_in_file(first + i));
    std::copy_n(whole_.data() + place * item, item, into);
  }
}

void share_work(WorkCounter& taken, std::size_t pieces, int threads,
                const std::function<std::function<void(std::size_t)>()>& make_worker) {
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      const auto worker = make_worker();
      for (std::size_t i = taken++; i < pieces; i = taken++) worker(i);
    } catch (...) {
      taken = static_cast<std::uint32_t>(pieces);
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < std::min<std::size_t>(threads, pieces); ++i)
    others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

void append_slices(const StoredParameter& parameter, std::int64_t unit,
                   std::vector<WeightSlice>& slices) {
  constexpr std::int64_t usual_numel = 1 << 16;
  const std::int64_t most = std::max(unit, usual_numel / unit * unit);
  const std::int64_t numel = parameter.numel();
  for (std::int64_t first = 0; first < numel; first += most)
    slices.push_back({&parameter, first, std::min(most, numel - first)});
}

void read_parameters(const WeightSource& source, const WeightLayout& layout, int threads,
                     std::byte* into) {
  read_slices(source, layout.dtype, slices_of(layout), threads, /*begin=*/0, into);
}

at::Tensor load_block(const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads) {
  const at::Tensor block =
      at::empty({layout.bytes}, at::TensorOptions().device(device).dtype(at::kByte));
  const auto item = static_cast<std::int64_t>(at::elementSize(layout.dtype));
  std::vector<std::vector<WeightSlice>> pieces;
  std::vector<ByteRange> ranges;  // of the pieces
  for (const WeightSlice& slice : slices_of(layout)) {
    const std::int64_t first = slice.parameter->offset + slice.first * item;
    const std::int64_t end = first + slice.n * item;
    if (ranges.empty() || end - ranges.back().first > upload_bytes) {
      pieces.emplace_back();
      ranges.push_back({first});
    }
    pieces.back().push_back(slice);
    ranges.back().bytes = end - ranges.back().first;
  }
  fill_ranges(block, ranges, [&](std::size_t i, std::byte* into) {
    read_slices(source, layout.dtype, pieces[i], threads, ranges[i].first, into);
  });
  return block;
}

}  // namespace rvsweep
