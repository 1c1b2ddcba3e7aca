#include "kernels/cpu/onednn.hpp"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>
#include <c10/core/Allocator.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/inductor/aoti_torch/tensor_converter.h>

#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// The rows that oneDNN chooses the layout for; products of other numbers of rows read it as it is.
/// Decides a row's bits, like the canonical shapes.
constexpr std::int64_t typical_rows = 128;

/// Header of a packed matrix; oneDNN's (aligned) data follow at offset `data`.
struct PackedHeader {
  std::int64_t data;  // bytes from the start of this
  std::uint64_t description_bytes;
  std::uint8_t description[4080];
};

using Pack = at::Tensor(const at::Tensor&, std::optional<std::int64_t>);
using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                           std::string_view, c10::List<std::optional<at::Scalar>>,
                           std::optional<std::string_view>);

template <typename Signature>
c10::TypedOperatorHandle<Signature> onednn_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Stands in for libtorch's CPU allocator while one matrix is packed, since oneDNN's packing has no
/// form that writes to given memory: hands out [next, end) and takes nothing back. One at a time,
/// and for the thread that made it alone.
class PackingAllocator : public c10::Allocator {
 public:
  PackingAllocator(std::byte* next, std::byte* end)
      : lock_(one_at_a_time()), next_(next), end_(end) {
    c10::SetAllocator(c10::DeviceType::CPU, this);
  }
  ~PackingAllocator() override { c10::SetAllocator(c10::DeviceType::CPU, usual_); }

  c10::DataPtr allocate(std::size_t bytes) override {
    RVSWEEP_EXPECT(std::this_thread::get_id() == owner_,
                   "no other thread may allocate while a matrix is packed");
    std::byte* const data = next_;
    RVSWEEP_EXPECT(bytes <= static_cast<std::size_t>(end_ - next_), "a packed matrix must fit");
    next_ += aligned(static_cast<std::int64_t>(bytes));
    return {data, data, &keep, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &keep; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void keep(void*) {}
  static std::mutex& one_at_a_time() {
    static std::mutex mutex;
    return mutex;
  }

  const std::lock_guard<std::mutex> lock_;
  const std::thread::id owner_ = std::this_thread::get_id();
  std::byte *next_, *const end_;
  c10::Allocator* const usual_ = c10::GetAllocator(c10::DeviceType::CPU);
};

}  // namespace

void pack_onednn(const at::Tensor& matrix, std::byte* memory) {
  static const auto pack = onednn_operator<Pack>("mkldnn::_reorder_linear_weight");
  static const auto data = onednn_operator<std::int64_t(const at::Tensor&)>("mkldnn::data_ptr");
  static const auto describe =
      onednn_operator<at::Tensor(const at::Tensor&)>("mkldnn::_get_mkldnn_serialized_md");
  auto* const header = reinterpret_cast<PackedHeader*>(memory);
  PackingAllocator allocator(
      memory + sizeof(PackedHeader),
      memory + cpu::packed_bytes(matrix.size(0), matrix.size(1), matrix.scalar_type()));
  const at::Tensor result = pack.call(matrix, typical_rows);  // destroyed before `allocator`
  header->data = reinterpret_cast<const std::byte*>(data.call(result)) - memory;
  const at::Tensor description = describe.call(result);
  RVSWEEP_EXPECT(description.nbytes() <= sizeof(header->description),
                 "oneDNN's description must fit the header");
  header->description_bytes = description.nbytes();
  std::memcpy(header->description, description.const_data_ptr(), description.nbytes());
}

}  // namespace rvsweep

namespace rvsweep::cpu {

bool can_pack(at::ScalarType dtype) {
  if (!at::hasMKLDNN()) return false;
  if (dtype == at::kFloat) return true;
  static const bool bfloat16 = onednn_operator<bool()>("mkldnn::_is_mkldnn_bf16_supported").call();
  return dtype == at::kBFloat16 && bfloat16;
}

std::int64_t packed_bytes(std::int64_t out, std::int64_t in, at::ScalarType dtype) {
  constexpr std::int64_t beside = 1 << 14;  // small things that packing allocates
  return static_cast<std::int64_t>(sizeof(PackedHeader)) + beside +
         aligned(out) * aligned(in) * static_cast<std::int64_t>(at::elementSize(dtype));
}

at::Tensor packed_matrix_in(const std::byte* memory, at::ScalarType dtype) {
  const auto* const header = reinterpret_cast<const PackedHeader*>(memory);
  // Shape and strides are in the description.
  AtenTensorHandle matrix = nullptr;
  const AOTITorchError error = aoti_torch_create_tensor_from_blob_v2(
      const_cast<std::byte*>(memory + header->data), 0, nullptr, nullptr, 0,
      static_cast<std::int32_t>(dtype), aoti_torch_device_type_cpu(), 0, &matrix,
      aoti_torch_layout__mkldnn(), header->description,
      static_cast<std::int64_t>(header->description_bytes));
  RVSWEEP_EXPECT(error == AOTI_TORCH_SUCCESS, "oneDNN must understand its own description");
  return torch::aot_inductor::alloc_tensors_by_stealing_from_handles(&matrix, 1).front();
}

at::Tensor product(const at::Tensor& x, const Matrix& matrix) {
  if (matrix.format == MatrixFormat::rows) return at::linear(x, matrix.data, matrix.bias);
  RVSWEEP_EXPECT(matrix.format == MatrixFormat::onednn, "tiles need a processor with AMX");
  static const auto by_onednn = onednn_operator<Product>("mkldnn::_linear_pointwise");
  const auto bias = matrix.bias.defined() ? std::optional(matrix.bias) : std::nullopt;
  return by_onednn.call(x, matrix.data, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace rvsweep::cpu
