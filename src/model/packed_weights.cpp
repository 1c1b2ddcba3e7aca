#include "rvsweep/model/packed_weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

struct MatrixPlace {
  WeightLayout layout;  // rows of the matrix, one after another
  std::int64_t offset;  // bytes from the start of the memory
};

/// Counters of the work that processes share.
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

MemoryMap memory_map(const ModelConfig& config, const WeightForm& form) {
  const bool rows = form.format == MatrixFormat::rows;
  MemoryMap map;
  map.offset_of_stays = aligned(sizeof(Taken));
  map.stays = rows ? weight_layout(config, form.dtype) : lookups_and_vectors(config, form.dtype);
  map.bytes = map.offset_of_stays + aligned(map.stays.bytes);
  if (rows) return map;
  for (const WeightLayout& matrix : product_matrices(config, form.matrix_dtype)) {
    map.matrices.push_back({matrix, map.bytes});
    map.bytes += matrix_bytes(form.format, rows_of(matrix), columns_of(matrix), matrix.dtype);
  }
  return map;
}

/// Reads a slice of a parameter into the layout at `memory`, as tiles where `tiles`; `rows` is
/// workspace.
void read_slice(const WeightSlice& slice, at::ScalarType dtype, bool tiles, WeightReader& reader,
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

/// Packs matrices by oneDNN. Processes share them through `taken`; largest first to balance the
/// load.
void pack_matrices(const WeightSource& source, std::vector<MatrixPlace> matrices, int threads,
                   WorkCounter& taken, std::byte* memory) {
  std::ranges::stable_sort(matrices, std::greater(),
                           [](const MatrixPlace& place) { return place.layout.bytes; });
  at::Tensor rows = at::empty({0}, at::kByte);  // reused: it stays in the processor's cache
  for (std::uint32_t i = taken++; i < matrices.size(); i = taken++) {
    const WeightLayout& parameters = matrices[i].layout;
    if (rows.numel() < parameters.bytes) rows = at::empty({parameters.bytes}, at::kByte);
    read_parameters(source, parameters, threads, static_cast<std::byte*>(rows.data_ptr()));
    const at::Tensor matrix = rows.narrow(0, 0, parameters.bytes).view(parameters.dtype);
    pack_onednn(matrix.view({rows_of(parameters), columns_of(parameters)}),
                memory + matrices[i].offset);
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

}  // namespace

WeightForm weight_form(const WeightSource& source, const ModelConfig& config,
                       at::ScalarType dtype) {
  const auto matrices = product_matrices(config, dtype);
  const MatrixFormat format = fastest_format(dtype, std::ranges::all_of(matrices, fits_tiles));
  if (format != MatrixFormat::amx_tiles) return {dtype, format, dtype};
  const bool exact = std::ranges::all_of(
      matrices, [&](const WeightLayout& matrix) { return is_bfloat16(matrix, source); });
  return {dtype, format, exact ? at::kBFloat16 : dtype};
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
  if (form.format == MatrixFormat::amx_tiles)
    for (const MatrixPlace& place : map.matrices) {
      for (const StoredParameter& parameter : place.layout.parameters)
        append_slices(parameter, tile_block * parameter.shape.back(), slices);
      offsets.resize(slices.size(), place.offset);
    }
  share_work(taken.slices, slices.size(), threads, [&] {
    return [&, reader = std::make_shared<WeightReader>(source),
            rows = std::vector<std::byte>()](std::size_t i) mutable {
      const bool stays = i < n_staying;
      read_slice(slices[i], stays ? form.dtype : form.matrix_dtype, !stays, *reader, rows,
                 memory + offsets[i]);
    };
  });
  if (form.format == MatrixFormat::onednn)
    pack_matrices(source, map.matrices, threads, taken.matrices, memory);
}

Weights weights_in_memory(const ModelConfig& config, const WeightForm& form,
                          std::shared_ptr<std::byte> memory) {
  const MemoryMap map = memory_map(config, form);
  const at::Tensor block =
      at::from_blob(memory.get() + map.offset_of_stays, {map.stays.bytes}, at::kByte);
  Weights weights = weights_in(block, config, map.stays);
  for (const auto& [layout, offset] : map.matrices)
    put_matrix(weights, layout.parameters.front(),
               matrix_in(memory.get() + offset, form.format, rows_of(layout), columns_of(layout),
                         form.matrix_dtype));
  weights.memory = std::move(memory);
  return weights;
}

}  // namespace rvsweep
