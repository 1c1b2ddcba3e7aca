#include "rvsweep/model/packed_weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Allocator.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model/amx_product.hpp"

namespace rvsweep {
namespace {

/// A matrix packed by oneDNN in memory: first this, then room in which its bytes lie somewhere.
struct PackedHead {
  std::int64_t data;  // bytes from the start of this
  std::uint64_t format_bytes;
  std::uint8_t format[4080];
};

struct MatrixPlace {
  WeightLayout parameters;    // rows of the matrix, one after another
  std::int64_t offset, room;  // of its numbers, or of the head of a packed one and bytes after it
};

/// What has been taken of the work that processes share.
struct Taken {
  Counter slices, matrices;
};

/// Where things lie in memory: Taken, the parameters that stay as they are, the matrices. Depends
/// on the arguments alone.
struct MemoryMap {
  WeightLayout stays;
  std::int64_t offset_of_stays;
  std::vector<MatrixPlace> matrices;
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

MemoryMap memory_map(const ModelConfig& config, const WeightForm& form) {
  const bool rows = form.layout == MatrixLayout::rows;
  MemoryMap map;
  map.offset_of_stays = aligned(sizeof(Taken));
  map.stays =
      weight_layout(config, form.dtype, rows ? Parameters::all : Parameters::lookups_and_vectors);
  map.bytes = map.offset_of_stays + aligned(map.stays.bytes);
  if (rows) return map;
  for (const WeightLayout& matrix : product_matrices(config, form.matrix_dtype)) {
    const bool packed = form.layout == MatrixLayout::onednn;
    map.matrices.push_back(
        {matrix, map.bytes,
         packed ? static_cast<std::int64_t>(sizeof(PackedHead)) + packing_room(matrix)
                : aligned(matrix.bytes)});
    map.bytes += map.matrices.back().room;
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

void pack_into(const at::Tensor& matrix, const MatrixPlace& place, std::byte* memory) {
  std::byte* const begin = memory + place.offset;
  constexpr std::int64_t head_bytes = sizeof(PackedHead);
  auto* const head = reinterpret_cast<PackedHead*>(begin);
  RoomAllocator allocator(begin + head_bytes, place.room - head_bytes);
  const at::Tensor result = packed(matrix);  // gone before the allocator is
  head->data = packed_data(result) - begin;
  const auto format = packed_format(result);
  RVSWEEP_EXPECT(format.size() <= sizeof(head->format), "oneDNN's descriptions are short");
  head->format_bytes = format.size();
  std::memcpy(head->format, format.data(), format.size());
}

/// Numbers [first, first + n) of a parameter on their way to memory; `columns`: of a matrix that
/// becomes tiles there, otherwise 0.
struct Slice {
  std::string name;
  std::int64_t first, n;
  at::ScalarType dtype;
  std::byte* into;
  std::int64_t columns;
};

/// The slices of a layout that begins at `memory`.
void append_slices(const WeightLayout& layout, bool tiles, std::byte* memory,
                   std::vector<Slice>& slices) {
  const auto item = static_cast<std::int64_t>(at::elementSize(layout.dtype));
  for (const WeightSlot& slot : layout.slots) {
    const std::int64_t columns = tiles ? slot.shape.back() : 0;
    const std::int64_t block = tile_block * columns;
    const std::int64_t most = tiles ? std::max(block, slice_numel / block * block) : slice_numel;
    for (std::int64_t first = 0; first < slot.numel; first += most)
      slices.push_back({slot.name, first, std::min(most, slot.numel - first), layout.dtype,
                        memory + slot.offset + first * item, columns});
  }
}

void bring(const Slice& slice, WeightReader& reader, std::vector<std::byte>& rows) {
  if (slice.columns == 0) {
    reader.read(slice.name, slice.first, slice.n, slice.dtype, slice.into);
    return;
  }
  const std::size_t item = at::elementSize(slice.dtype);
  rows.resize(static_cast<std::size_t>(slice.n) * item);
  reader.read(slice.name, slice.first, slice.n, slice.dtype, rows.data());
  arrange_in_tiles(rows.data(), slice.n / slice.columns, slice.columns, item, slice.into);
}

/// Packs the matrices that no process has taken, the largest first, so that they end together.
void pack_in_turn(const WeightSource& source, std::vector<MatrixPlace> matrices, int threads,
                  Counter& taken, std::byte* memory) {
  std::ranges::stable_sort(matrices, std::greater(),
                           [](const MatrixPlace& place) { return place.parameters.bytes; });
  at::Tensor rows = at::empty({0}, at::kByte);  // reused: it stays in the processor's cache
  for (std::uint32_t i = taken++; i < matrices.size(); i = taken++) {
    const WeightLayout& parameters = matrices[i].parameters;
    if (rows.numel() < parameters.bytes) rows = at::empty({parameters.bytes}, at::kByte);
    read_parameters(source, parameters, threads, static_cast<std::byte*>(rows.data_ptr()));
    const at::Tensor matrix = rows.narrow(0, 0, parameters.bytes).view(parameters.dtype);
    pack_into(matrix.view({rows_of(parameters), columns_of(parameters)}), matrices[i], memory);
  }
}

bool fits_tiles(const WeightLayout& matrix) {
  return std::ranges::all_of(matrix.slots, [](const WeightSlot& slot) {
    return slot.shape.front() % tile_block == 0 && slot.shape.back() % tile_block == 0;
  });
}

bool is_bfloat16(const WeightLayout& matrix, const WeightSource& source) {
  return std::ranges::all_of(matrix.slots, [&](const WeightSlot& slot) {
    return !source.seed && source.files.at(slot.name).dtype == "BF16";
  });
}

at::Tensor tiles_at(const std::byte* data, const WeightLayout& matrix) {
  return at::from_blob(const_cast<std::byte*>(data),
                       tiled_shape(rows_of(matrix), columns_of(matrix)), matrix.dtype);
}

at::Tensor packed_at(const std::byte* place, at::ScalarType dtype) {
  const auto* const head = reinterpret_cast<const PackedHead*>(place);
  return packed_matrix_at(place + head->data, dtype, {head->format, head->format_bytes});
}

}  // namespace

WeightForm weight_form(const WeightSource& source, const ModelConfig& config,
                       at::ScalarType dtype) {
  const auto matrices = product_matrices(config, dtype);
  const bool tiles = has_amx() && (dtype == at::kFloat || dtype == at::kBFloat16) &&
                     std::ranges::all_of(matrices, fits_tiles);
  if (!tiles) return {dtype, can_pack(dtype) ? MatrixLayout::onednn : MatrixLayout::rows, dtype};
  const bool exact = std::ranges::all_of(
      matrices, [&](const WeightLayout& matrix) { return is_bfloat16(matrix, source); });
  return {dtype, MatrixLayout::tiles, exact ? at::kBFloat16 : dtype};
}

std::size_t memory_for_weights(const ModelConfig& config, const WeightForm& form) {
  return static_cast<std::size_t>(memory_map(config, form).bytes);
}

void fill_weights(const WeightSource& source, const ModelConfig& config, const WeightForm& form,
                  int threads, std::byte* memory) {
  const MemoryMap map = memory_map(config, form);
  auto& taken = *reinterpret_cast<Taken*>(memory);
  std::vector<Slice> slices;
  append_slices(map.stays, /*tiles=*/false, memory + map.offset_of_stays, slices);
  if (form.layout == MatrixLayout::tiles)
    for (const MatrixPlace& place : map.matrices)
      append_slices(place.parameters, /*tiles=*/true, memory + place.offset, slices);
  take_in_turn(taken.slices, slices.size(), threads, [&] {
    return [&, reader = std::make_shared<WeightReader>(source), rows = std::vector<std::byte>()](
               std::size_t i) mutable { bring(slices[i], *reader, rows); };
  });
  if (form.layout == MatrixLayout::onednn)
    pack_in_turn(source, map.matrices, threads, taken.matrices, memory);
}

Weights weights_in_memory(const ModelConfig& config, const WeightForm& form,
                          std::shared_ptr<std::byte> memory) {
  const MemoryMap map = memory_map(config, form);
  const at::Tensor block =
      at::from_blob(memory.get() + map.offset_of_stays, {map.stays.bytes}, at::kByte);
  std::vector<at::Tensor> matrices;
  for (const MatrixPlace& place : map.matrices) {
    const std::byte* const begin = memory.get() + place.offset;
    matrices.push_back(form.layout == MatrixLayout::tiles ? tiles_at(begin, place.parameters)
                                                          : packed_at(begin, form.matrix_dtype));
  }
  Weights weights = weights_in(block, config, map.stays, matrices);
  weights.memory = std::move(memory);
  return weights;
}

}  // namespace rvsweep
