#include "rvsweep/model/packed_weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Allocator.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model/linear.hpp"

namespace rvsweep {
namespace {

using Counter = std::atomic<std::uint32_t>;
static_assert(Counter::is_always_lock_free, "processes can share it");

/// A packed matrix in memory: first this, then room in which its bytes lie somewhere.
struct PackedHead {
  std::int64_t data;  // bytes from the start of this
  std::uint64_t format_bytes;
  std::uint8_t format[4080];
};

struct PackedPlace {
  WeightLayout parameters;    // rows of the matrix, one after another
  std::int64_t offset, room;  // of the head; bytes after it
};

/// Where things lie in memory: the number of pieces taken so far, the parameters that stay as they
/// are, the packed matrices. Depends on the arguments alone.
struct MemoryMap {
  WeightLayout stays;
  std::int64_t offset_of_stays;
  std::vector<PackedPlace> packed;
  std::int64_t bytes;
};

std::int64_t rows_of(const WeightLayout& matrix) {
  std::int64_t rows = 0;
  for (const WeightSlot& slot : matrix.slots) rows += slot.shape.front();
  return rows;
}

std::int64_t columns_of(const WeightLayout& matrix) { return matrix.slots.front().shape.back(); }

/// What oneDNN needs at most to pack a matrix: its blocks have up to 64 rows and columns, and small
/// things lie beside it while it is packed.
std::int64_t packing_room(const WeightLayout& matrix) {
  const auto padded = [](std::int64_t n) { return (n + 63) / 64 * 64; };
  constexpr std::int64_t beside = 1 << 14;
  return padded(rows_of(matrix)) * padded(columns_of(matrix)) *
             static_cast<std::int64_t>(at::elementSize(matrix.dtype)) +
         beside;
}

MemoryMap memory_map(const ModelConfig& config, at::ScalarType dtype) {
  const bool packs = can_pack(dtype);
  MemoryMap map;
  map.offset_of_stays = aligned(sizeof(Counter));
  map.stays =
      weight_layout(config, dtype, packs ? Parameters::lookups_and_vectors : Parameters::all);
  map.bytes = map.offset_of_stays + aligned(map.stays.bytes);
  if (!packs) return map;
  for (const WeightLayout& matrix : product_matrices(config, dtype)) {
    map.packed.push_back({matrix, map.bytes, packing_room(matrix)});
    map.bytes += static_cast<std::int64_t>(sizeof(PackedHead)) + map.packed.back().room;
  }
  return map;
}

/// Hands out the `room` bytes from `next` on and takes nothing back. While it lives it stands in
/// for libtorch's allocator of the CPU, to which oneDNN turns for packed matrices.
class RoomAllocator : public c10::Allocator {
 public:
  RoomAllocator(std::byte* next, std::int64_t room)
      : next_(next), end_(next + room), usual_(c10::GetAllocator(c10::DeviceType::CPU)) {
    c10::SetAllocator(c10::DeviceType::CPU, this);
  }
  ~RoomAllocator() override { c10::SetAllocator(c10::DeviceType::CPU, usual_); }

  c10::DataPtr allocate(std::size_t bytes) override {
    std::byte* const data = next_;
    RVSWEEP_EXPECT(bytes <= static_cast<std::size_t>(end_ - next_), "a packed matrix fits");
    next_ += aligned(static_cast<std::int64_t>(bytes));
    return {data, data, &keep, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &keep; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void keep(void*) {}

  std::byte *next_, *end_;
  c10::Allocator* usual_;
};

void pack_into(const at::Tensor& matrix, const PackedPlace& place, std::byte* memory) {
  std::byte* const begin = memory + place.offset;
  auto* const head = reinterpret_cast<PackedHead*>(begin);
  RoomAllocator allocator(begin + sizeof(PackedHead), place.room);
  const at::Tensor result = packed(matrix);  // gone before the allocator is
  head->data = packed_data(result) - begin;
  const auto format = packed_format(result);
  RVSWEEP_EXPECT(format.size() <= sizeof(head->format), "oneDNN's descriptions are short");
  head->format_bytes = format.size();
  std::memcpy(head->format, format.data(), format.size());
}

/// What one process takes at a time: a parameter that stays, or a matrix to pack.
struct Piece {
  std::int64_t bytes;
  WeightLayout parameters;
  std::byte* into;            // where they stay,
  const PackedPlace* packed;  // or null and this
};

/// The largest first, so that processes end together.
std::vector<Piece> pieces_of(const MemoryMap& map, std::byte* memory) {
  std::vector<Piece> pieces;
  const auto item = static_cast<std::int64_t>(at::elementSize(map.stays.dtype));
  for (WeightSlot slot : map.stays.slots) {
    std::byte* const into = memory + map.offset_of_stays + slot.offset;
    slot.offset = 0;
    const std::int64_t bytes = slot.numel * item;
    pieces.push_back({bytes, {map.stays.dtype, {slot}, bytes}, into, nullptr});
  }
  for (const PackedPlace& place : map.packed)
    pieces.push_back({place.parameters.bytes, place.parameters, nullptr, &place});
  std::ranges::stable_sort(pieces, std::greater(), &Piece::bytes);
  return pieces;
}

}  // namespace

std::size_t memory_for_weights(const ModelConfig& config, at::ScalarType dtype) {
  return static_cast<std::size_t>(memory_map(config, dtype).bytes);
}

void fill_weights(const WeightSource& source, const ModelConfig& config, at::ScalarType dtype,
                  int threads, std::byte* memory) {
  const MemoryMap map = memory_map(config, dtype);
  const std::vector<Piece> pieces = pieces_of(map, memory);
  auto& taken = *reinterpret_cast<Counter*>(memory);
  at::Tensor unpacked = at::empty({0}, at::kByte);  // reused: it stays in the processor's cache
  for (std::uint32_t i = taken++; i < pieces.size(); i = taken++) {
    const Piece& piece = pieces[i];
    if (piece.packed == nullptr) {
      read_parameters(source, piece.parameters, threads, piece.into);
      continue;
    }
    if (unpacked.numel() < piece.bytes) unpacked = at::empty({piece.bytes}, at::kByte);
    read_parameters(source, piece.parameters, threads,
                    static_cast<std::byte*>(unpacked.data_ptr()));
    const at::Tensor matrix = unpacked.narrow(0, 0, piece.bytes).view(dtype);
    pack_into(matrix.view({rows_of(piece.parameters), columns_of(piece.parameters)}), *piece.packed,
              memory);
  }
}

Weights weights_in_memory(const ModelConfig& config, at::ScalarType dtype,
                          std::shared_ptr<std::byte> memory) {
  const MemoryMap map = memory_map(config, dtype);
  const at::Tensor block =
      at::from_blob(memory.get() + map.offset_of_stays, {map.stays.bytes}, at::kByte);
  std::vector<at::Tensor> matrices;
  for (const PackedPlace& place : map.packed) {
    const auto* const head = reinterpret_cast<const PackedHead*>(memory.get() + place.offset);
    matrices.push_back(packed_matrix_at(memory.get() + place.offset + head->data, dtype,
                                        {head->format, head->format_bytes}));
  }
  Weights weights = weights_in(block, config, map.stays, matrices);
  weights.memory = std::move(memory);
  return weights;
}

}  // namespace rvsweep
