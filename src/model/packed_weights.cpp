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

#include "kernels/cpu/amx/product.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// A matrix packed by oneDNN in memory: first this, then room in which its bytes lie somewhere.
struct PackedHead {
  std::int64_t data;  // bytes from the start of this
  std::uint64_t format_bytes;
  std::uint8_t format[4080];
};

struct MatrixPlace {
  WeightLayout layout;        // rows of the matrix, one after another
  std::int64_t offset, room;  // of its numbers, or of the head of a packed one and bytes after it
};

/// What has been taken of the work that processes share.
struct Taken {
  WorkCounter slices, matrices;
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
  for (const Parameter& parameter : matrix.parameters) rows += parameter.shape.front();
  return rows;
}

std::int64_t columns_of(const WeightLayout& matrix) {
  return matrix.parameters.front().shape.back();
}

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
  map.stays = rows ? weight_layout(config, form.dtype) : lookups_and_vectors(config, form.dtype);
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

/// The elements of a slice of parameter to their place in the layout at `memory`, as tiles where
/// `tiles`. `rows` is room that is used again.
void bring(const WeightSlice& slice, at::ScalarType dtype, bool tiles, WeightReader& reader,
           std::vector<std::byte>& rows, std::byte* memory) {
  const auto& [parameter, first, n] = slice;
  const auto item = static_cast<std::int64_t>(at::elementSize(dtype));
  std::byte* const into = memory + parameter->offset + first * item;
  if (!tiles) return reader.read(*parameter, first, n, dtype, into);
  rows.resize(static_cast<std::size_t>(n * item));
  reader.read(*parameter, first, n, dtype, rows.data());
  const std::int64_t columns = parameter->shape.back();
  arrange_in_tiles(rows.data(), n / columns, columns, at::elementSize(dtype), into);
}

/// Packs the matrices that no process has taken, the largest first, so that they end together.
void pack_in_turn(const WeightSource& source, std::vector<MatrixPlace> matrices, int threads,
                  WorkCounter& taken, std::byte* memory) {
  std::ranges::stable_sort(matrices, std::greater(),
                           [](const MatrixPlace& place) { return place.layout.bytes; });
  at::Tensor rows = at::empty({0}, at::kByte);  // reused: it stays in the processor's cache
  for (std::uint32_t i = taken++; i < matrices.size(); i = taken++) {
    const WeightLayout& parameters = matrices[i].layout;
    if (rows.numel() < parameters.bytes) rows = at::empty({parameters.bytes}, at::kByte);
    read_parameters(source, parameters, threads, static_cast<std::byte*>(rows.data_ptr()));
    const at::Tensor matrix = rows.narrow(0, 0, parameters.bytes).view(parameters.dtype);
    pack_into(matrix.view({rows_of(parameters), columns_of(parameters)}), matrices[i], memory);
  }
}

bool fits_tiles(const WeightLayout& matrix) {
  return std::ranges::all_of(matrix.parameters, [](const Parameter& parameter) {
    return parameter.shape.front() % tile_block == 0 && parameter.shape.back() % tile_block == 0;
  });
}

bool is_bfloat16(const WeightLayout& matrix, const WeightSource& source) {
  return std::ranges::all_of(matrix.parameters, [&](const Parameter& parameter) {
    return !source.seed && source.files.at(parameter.name).dtype == "BF16";
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
  std::vector<WeightSlice> slices;
  for (const StoredParameter& parameter : map.stays.parameters)
    append_slices(parameter, /*unit=*/2, slices);
  const std::size_t n_staying = slices.size();
  std::vector<std::int64_t> offsets(n_staying, map.offset_of_stays);  // of the slices' layouts
  if (form.layout == MatrixLayout::tiles)
    for (const MatrixPlace& place : map.matrices) {
      for (const StoredParameter& parameter : place.layout.parameters)
        append_slices(parameter, tile_block * parameter.shape.back(), slices);
      offsets.resize(slices.size(), place.offset);
    }
  share_work(taken.slices, slices.size(), threads, [&] {
    return [&, reader = std::make_shared<WeightReader>(source),
            rows = std::vector<std::byte>()](std::size_t i) mutable {
      const bool stays = i < n_staying;
      bring(slices[i], stays ? form.dtype : form.matrix_dtype, !stays, *reader, rows,
            memory + offsets[i]);
    };
  });
  if (form.layout == MatrixLayout::onednn)
    pack_in_turn(source, map.matrices, threads, taken.matrices, memory);
}

Weights weights_in_memory(const ModelConfig& config, const WeightForm& form,
                          std::shared_ptr<std::byte> memory) {
  const MemoryMap map = memory_map(config, form);
  const at::Tensor block =
      at::from_blob(memory.get() + map.offset_of_stays, {map.stays.bytes}, at::kByte);
  Weights weights = weights_in(block, config, map.stays);
  for (const MatrixPlace& place : map.matrices) {
    const std::byte* const begin = memory.get() + place.offset;
    tensor_of(weights, place.layout.parameters.front()) = form.layout == MatrixLayout::tiles
                                                              ? tiles_at(begin, place.layout)
                                                              : packed_at(begin, form.matrix_dtype);
  }
  weights.memory = std::move(memory);
  return weights;
}

}  // namespace rvsweep
