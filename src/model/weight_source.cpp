#include "rvsweep/model/weight_source.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/philox.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t slice_numel = 1 << 18;  // numbers that a thread takes at once

/// Receives `bytes` of the block from `offset` on; called by several threads at once.
using Sink = std::function<void(std::int64_t offset, const void* data, std::size_t bytes)>;

class OpenFile {
 public:
  explicit OpenFile(std::filesystem::path path)
      : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0)
      throw InputError(path_.string(), std::string("cannot be opened (") + strerror(errno) + ")");
  }
  ~OpenFile() { close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  void read(std::uint64_t offset, void* data, std::size_t bytes) const {
    char* next = static_cast<char*>(data);
    while (bytes > 0) {
      const ssize_t got = pread(fd_, next, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0)
        throw InputError(path_.string(), std::string("cannot be read (") + strerror(errno) + ")");
      if (got == 0)
        throw InputError(path_.string(), "has become shorter since its header was read",
                         "copy or download it again");
      next += got;
      offset += static_cast<std::uint64_t>(got);
      bytes -= static_cast<std::size_t>(got);
    }
  }

 private:
  std::filesystem::path path_;
  int fd_;
};

using OpenFiles = std::map<std::filesystem::path, OpenFile>;

OpenFiles open_files(const TensorIndex& index) {
  OpenFiles files;
  for (const auto& [name, entry] : index) files.try_emplace(entry.file, entry.file);
  return files;
}

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  RVSWEEP_EXPECT(dtype == "F16", "check_tensors admits no other dtype");
  return at::kHalf;
}

/// Numbers [first, first + n) of a drawn parameter. Sums of four 16-bit uniform numbers are nearly
/// normal and, being integers, the same on every machine; their standard deviation is
/// sqrt((2^32 - 1) / 3).
void draw(const WeightSource& source, const std::string& name, std::int64_t first, std::int64_t n,
          float* out) {
  if (name.ends_with("norm.weight") || name.ends_with(".bias")) {
    std::fill_n(out, n, name.ends_with(".bias") ? 0.0F : 1.0F);
    return;
  }
  const std::uint64_t key = xxh3_fields({std::to_string(*source.seed), name});
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

/// Short enough that libtorch converts it in the calling thread: it shares out 32,768 numbers or
/// more.
constexpr std::int64_t conversion_numel = 1 << 14;

void convert(const char* from, at::ScalarType from_type, char* to, at::ScalarType to_type,
             std::int64_t n) {
  for (std::int64_t first = 0; first < n; first += conversion_numel) {
    const auto part = std::min(conversion_numel, n - first);
    const auto at_first = [&](const char* data, at::ScalarType type) {
      return const_cast<char*>(data) + first * static_cast<std::int64_t>(at::elementSize(type));
    };
    at::from_blob(at_first(to, to_type), {part}, to_type)
        .copy_(at::from_blob(at_first(from, from_type), {part}, from_type));
  }
}

/// A thread's way from the source to the sink, slice by slice.
class Carrier {
 public:
  Carrier(const WeightSource& source, const OpenFiles& files, at::ScalarType dtype)
      : source_(source), files_(files), dtype_(dtype), item_(at::elementSize(dtype)) {
    raw_.resize(slice_numel * sizeof(float));
    converted_.resize(slice_numel * item_);
  }

  void carry(const WeightSlot& slot, std::int64_t first, std::int64_t n, const Sink& sink) {
    const at::ScalarType type = read(slot.name, first, n);
    const char* data = raw_.data();
    if (type != dtype_) {
      convert(raw_.data(), type, converted_.data(), dtype_, n);
      data = converted_.data();
    }
    const auto item = static_cast<std::int64_t>(item_);
    sink(slot.offset + first * item, data, static_cast<std::size_t>(n * item));
  }

 private:
  at::ScalarType read(const std::string& name, std::int64_t first, std::int64_t n) {
    if (source_.seed) {
      draw(source_, name, first, n, reinterpret_cast<float*>(raw_.data()));
      return at::kFloat;
    }
    const TensorEntry& entry = source_.files.at(name);
    const at::ScalarType type = scalar_type(entry.dtype);
    const auto item = static_cast<std::int64_t>(at::elementSize(type));
    files_.at(entry.file)
        .read(entry.begin + static_cast<std::uint64_t>(first * item), raw_.data(),
              static_cast<std::size_t>(n * item));
    return type;
  }

  const WeightSource& source_;
  const OpenFiles& files_;
  at::ScalarType dtype_;
  std::size_t item_;
  std::vector<char> raw_, converted_;
};

struct Slice {
  const WeightSlot* slot;
  std::int64_t first, n;
};

/// The first exception of any thread is thrown here, when all have ended.
void carry_all(const WeightSource& source, const WeightLayout& layout, int threads,
               const Sink& sink) {
  std::vector<Slice> slices;
  for (const WeightSlot& slot : layout.slots)
    for (std::int64_t first = 0; first < slot.numel; first += slice_numel)
      slices.push_back({&slot, first, std::min(slice_numel, slot.numel - first)});
  const OpenFiles files = open_files(source.files);
  std::atomic<bool> failed = false;
  std::exception_ptr failure;
  std::mutex mutex;
  // A stretch for each thread: neighbours would wait for each other in SharedMemory::write.
  const auto work = [&](std::size_t thread) {
    try {
      Carrier carrier(source, files, layout.dtype);
      const std::size_t end = slices.size() * (thread + 1) / threads;
      for (std::size_t i = slices.size() * thread / threads; i < end && !failed; ++i)
        carrier.carry(*slices[i].slot, slices[i].first, slices[i].n, sink);
    } catch (...) {
      failed = true;
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

WeightSource find_weights(const std::filesystem::path& folder, const ModelConfig& config,
                          std::optional<std::uint64_t> seed) {
  WeightSource source{folder, {}, seed, config.initializer_range};
  if (seed) return source;
  source.files = read_safetensors_index(folder);
  check_tensors(config, source.files);
  return source;
}

std::uint64_t model_fingerprint(const WeightSource& source) {
  std::ifstream config(source.folder / "config.json", std::ios::binary);
  std::ostringstream text;
  text << config.rdbuf();
  Hasher hasher;
  hasher.update(text.str());
  if (source.seed) hasher.update("random weights " + std::to_string(*source.seed));
  const OpenFiles files = open_files(source.files);
  std::vector<char> buffer(1 << 20);
  for (const auto& [name, entry] : source.files) {
    hasher.update(name);
    for (std::uint64_t at = entry.begin; at < entry.end; at += buffer.size()) {
      const auto bytes = std::min<std::uint64_t>(buffer.size(), entry.end - at);
      files.at(entry.file).read(at, buffer.data(), bytes);
      hasher.update(buffer.data(), bytes);
    }
  }
  return hasher.digest();
}

SharedMemory load_into_memory(const WeightSource& source, const WeightLayout& layout, int threads) {
  SharedMemory memory(static_cast<std::size_t>(layout.bytes));
  carry_all(source, layout, threads, [&](std::int64_t offset, const void* data, std::size_t bytes) {
    memory.write(static_cast<std::size_t>(offset), data, bytes);
  });
  return memory;
}

at::Tensor block_of(const SharedMemory& memory) {
  const auto bytes = memory.map();
  // libtorch never writes to parameters.
  return at::from_blob(
      const_cast<std::byte*>(bytes.get()), {static_cast<std::int64_t>(memory.size())},
      [bytes](void*) {}, at::kByte);
}

at::Tensor load_block(const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads) {
  if (device.is_cpu()) return block_of(load_into_memory(source, layout, threads));
  at::Tensor block = at::empty({layout.bytes}, at::TensorOptions().device(device).dtype(at::kByte));
  carry_all(source, layout, threads, [&](std::int64_t offset, const void* data, std::size_t bytes) {
    const auto n = static_cast<std::int64_t>(bytes);
    block.narrow(0, offset, n).copy_(at::from_blob(const_cast<void*>(data), {n}, at::kByte));
  });
  return block;
}

}  // namespace rvsweep
