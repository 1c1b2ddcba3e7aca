#include "support/test_device.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <signal.h>
#include <torch/library.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "support/device_memory.hpp"

namespace rvsweep::testing {
namespace {

DeviceMemory& memory_of(const at::Device& device) {
  static auto& memories = *new std::array<DeviceMemory, 2>;  // tensors may outlive the program
  return memories.at(static_cast<std::size_t>(device.index()));
}

thread_local c10::DeviceIndex current_index = 0;

at::Device current_device() { return test_device(current_index); }

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    const at::Device device = current_device();
    if (bytes == 0) return {nullptr, device};
    void* const address = memory_of(device).allocate(bytes);
    return {address, address, release, device};
  }
  void copy_data(void*, const void*, std::size_t) const override {
    TORCH_CHECK(false, "the allocator of a test device copies nothing");
  }
  static void release(void* address) {
    for (const int i : {0, 1})
      if (DeviceMemory& memory = memory_of(test_device(i)); memory.holds(address))
        memory.release(address);
  }
};

/// Memory of the host that a device reads and writes by itself.
class PinnedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const address = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
    const std::scoped_lock lock(mutex_);
    ends_[address] = static_cast<char*>(address) + bytes;
    return {address, address, release, at::kCPU};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  bool holds(const void* address) {
    const std::scoped_lock lock(mutex_);
    const auto after = ends_.upper_bound(address);
    return after != ends_.begin() && address < std::prev(after)->second;
  }
  static PinnedMemory& get() {
    static auto& memory = *new PinnedMemory;
    return memory;
  }

 private:
  static void release(void* address) {
    const std::scoped_lock lock(get().mutex_);
    get().ends_.erase(address);
    std::free(address);
  }
  std::mutex mutex_;
  std::map<const void*, const void*> ends_;  // by their begin
};

void on_touch(int, siginfo_t* info, void*) {
  constexpr char message[] = "the host touched the memory of a device\n";
  if (!memory_of(test_device(0)).holds(info->si_addr) &&
      !memory_of(test_device(1)).holds(info->si_addr)) {
    signal(SIGSEGV, SIG_DFL);  // and the faulty instruction once more
    return;
  }
  [[maybe_unused]] const auto written = write(STDERR_FILENO, message, sizeof(message) - 1);
  _exit(1);
}

// ---- Counts, and copies that wait for a synchronisation

std::atomic<std::int64_t> n_operators, n_to_device, n_to_host, n_synchronisations;

/// A non-blocking copy: the tensor of the host, and what it gets, or what it has to hold still.
struct PendingCopy {
  at::Tensor host, values;
  bool to_host;
};
std::mutex pending_mutex;
std::vector<PendingCopy> pending;

void wait_for_device() {
  ++n_synchronisations;
  std::vector<PendingCopy> copies;
  {
    const std::scoped_lock lock(pending_mutex);
    copies.swap(pending);
  }
  for (const auto& [host, values, to_host] : copies) {
    if (to_host)
      host.copy_(values);
    else
      TORCH_CHECK(host.equal(values), "the host changed what a non-blocking copy was to read");
  }
}

// ---- Operators

/// Tensors of the host in the memory of those of a device, for one call of an operator.
class HostAliases {
 public:
  at::Tensor of(const at::Tensor& x) {
    if (!x.defined() || !x.is_privateuseone()) return x;
    for (const auto& [device, host] : pairs_)
      if (device.is_same(x)) return host;
    const at::Storage& storage = x.storage();
    void* const data = storage.mutable_data() == nullptr
                           ? nullptr
                           : memory_of(x.device()).on_host(storage.mutable_data());
    at::Storage on_host;
    for (const auto& [device, host] : pairs_)
      if (device.storage().is_alias_of(storage)) on_host = host.storage();
    if (!on_host)
      on_host = at::Storage(c10::Storage::use_byte_size_t(), storage.nbytes(),
                            c10::DataPtr(data, at::kCPU), c10::GetCPUAllocator(), true);
    at::Tensor host = at::detail::make_tensor<c10::TensorImpl>(
        std::move(on_host), c10::DispatchKeySet(c10::DispatchKey::CPU), x.dtype());
    host.unsafeGetTensorImpl()->set_sizes_and_strides(x.sizes(), x.strides(), x.storage_offset());
    pairs_.emplace_back(x, host);
    return host;
  }

  /// The tensor that stands behind a result: an argument, or a new one.
  at::Tensor on_device(const at::Tensor& host) {
    if (!host.defined()) return host;
    for (const auto& [device, alias] : pairs_)
      if (alias.is_same(host)) return device;
    TORCH_CHECK(!memory_of(current_device()).holds_on_host(host.const_data_ptr()),
                "the test device knows no such view");
    return copied(host);
  }

  /// Arguments whose memory or sizes the operator has changed.
  void take_resized() {
    for (auto& [device, host] : pairs_) {
      if (host.sizes() == device.sizes() && host.strides() == device.strides()) continue;
      const at::Tensor now = copied(host);
      c10::TensorImpl* const changed = device.unsafeGetTensorImpl();
      changed->set_storage_keep_dtype(now.storage());
      changed->set_sizes_and_strides(now.sizes(), now.strides(), 0);
    }
  }

 private:
  static at::Tensor copied(const at::Tensor& host) {
    const at::Tensor device =
        at::empty_strided(host.sizes(), host.strides(), host.options().device(current_device()));
    HostAliases().of(device).copy_(host);
    return device;
  }

  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;  // of the device, of the host
};

/// Refuses a tensor that an operator of the current device cannot take.
void check(const at::Tensor& x, const std::string& op) {
  if (!x.defined()) return;
  if (x.is_cpu() && x.dim() == 0) return;
  TORCH_CHECK(x.is_privateuseone(), op, " mixes tensors of host and device");
  TORCH_CHECK(x.device() == current_device(), op, " takes a tensor of ", x.device(), ", but ",
              current_device(), " is the current device");
}

/// How often CUDA's form of an operator makes the host wait: for the size of its result, for a
/// number, for LAPACK's error code, for whether Jacobi's iterations have converged.
int waits_of(const std::string& op) {
  static const std::map<std::string, int> waits{
      {"aten::_local_scalar_dense", 1}, {"aten::equal", 1},        {"aten::nonzero", 1},
      {"aten::masked_select", 1},       {"aten::_linalg_eigh", 1}, {"aten::_linalg_svd", 2}};
  const auto found = waits.find(op);
  return found == waits.end() ? 0 : found->second;
}

void wait(int times) {
  for (int i = 0; i < times; ++i) {
    ++n_to_host;
    wait_for_device();
  }
}

/// Calls `compute`; what a GPU would find out in its kernel is the error that CUDA gives then.
template <class Compute>
void as_on_gpu(const std::string& op, const Compute& compute) {
  try {
    compute();
  } catch (const c10::Error& error) {
    const std::string what = error.what_without_backtrace();
    if (what.find("out of range") == what.npos && what.find("out of bounds") == what.npos) throw;
    throw c10::AcceleratorError(
        {__func__, __FILE__, __LINE__}, 710,
        "CUDA error: device-side assert triggered (" + op + ": " + what + ")");
  }
}

std::span<c10::IValue> top(torch::jit::Stack& stack, std::size_t n) {
  return std::span(stack).last(n);
}

/// Every operator that no other function here stands for.
void run_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::string& name = op.schema().name();
  HostAliases aliases;
  int waits = waits_of(name);
  const auto taken = [&](const at::Tensor& x) {
    check(x, name);
    return aliases.of(x);
  };
  for (c10::IValue& argument : top(*stack, op.schema().arguments().size())) {
    if (argument.isTensor()) {
      argument = taken(argument.toTensor());
    } else if (argument.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& x : argument.toTensorVector()) list.push_back(taken(x));
      argument = std::move(list);
    } else if (argument.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& x : argument.toOptionalTensorVector()) {
        list.push_back(x ? std::optional(taken(*x)) : x);
        // Elsewhere libtorch itself calls nonzero.
        if (name == "aten::_index_put_impl_" && x && x->scalar_type() == at::kBool) ++waits;
      }
      argument = std::move(list);
    }
  }
  ++n_operators;
  as_on_gpu(name, [&] { op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack); });
  wait(waits);
  aliases.take_resized();
  for (c10::IValue& result : top(*stack, op.schema().returns().size())) {
    if (result.isTensor()) {
      result = aliases.on_device(result.toTensor());
    } else if (result.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& x : result.toTensorVector()) list.push_back(aliases.on_device(x));
      result = std::move(list);
    }
  }
}

at::Tensor empty_strided(c10::SymIntArrayRef sizes, c10::SymIntArrayRef strides,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<at::Device> device, std::optional<bool>) {
  TORCH_CHECK(!device || !device->has_index() || *device == current_device(), "a new tensor of ",
              *device, ", but ", current_device(), " is the current device");
  static Allocator allocator;
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(sizes), C10_AS_INTARRAYREF_SLOW(strides), &allocator,
      c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dtype.value_or(at::kFloat));
}

at::Tensor empty(c10::SymIntArrayRef sizes, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout> layout, std::optional<at::Device> device,
                 std::optional<bool> pinned, std::optional<at::MemoryFormat>) {
  std::vector<c10::SymInt> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(sizes[i].expect_int(), 1);
  return empty_strided(sizes, strides, dtype, layout, device, pinned);
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& src, bool non_blocking) {
  for (const at::Tensor& x : {self, src})
    if (x.is_privateuseone()) check(x, "copy_");
  if (self.numel() == 0) return self;
  HostAliases aliases;
  if (self.is_privateuseone()) {
    aliases.of(self).copy_(aliases.of(src));
    if (src.is_privateuseone()) ++n_operators;
  }
  if (self.is_privateuseone() && src.is_privateuseone()) return self;
  ++(self.is_cpu() ? n_to_host : n_to_device);
  const at::Tensor& of_host = self.is_cpu() ? self : src;
  if (!non_blocking || !PinnedMemory::get().holds(of_host.const_data_ptr())) {
    wait_for_device();
    if (self.is_cpu()) self.copy_(aliases.of(src));
    return self;
  }
  const std::scoped_lock lock(pending_mutex);
  if (self.is_cpu())
    pending.push_back({self, aliases.of(src).clone(), true});
  else
    pending.push_back({src, src.clone(), false});
  return self;
}

/// The rules of CUDA's memory-efficient kernel (sdp_utils.cpp, attention.cu); the others take no
/// mask, or choose a slow form without a word.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::optional<at::Tensor>& mask, double dropout, bool is_causal,
                     std::optional<double> scale, bool enable_gqa) {
  const std::string op = "scaled_dot_product_attention";
  for (const at::Tensor& x : {q, k, v}) {
    check(x, op);
    TORCH_CHECK(x.dim() == 4 && x.scalar_type() == q.scalar_type(), op, ": q, k and v differ");
    TORCH_CHECK(x.stride(3) == 1, op, ": elements of a head have gaps");
    for (int dim = 0; dim < 3; ++dim)
      TORCH_CHECK(x.size(dim) == 1 || x.stride(dim) * x.element_size() % 16 == 0, op,
                  ": a head begins at no multiple ", "of 16 bytes");
    TORCH_CHECK(
        x.storage_offset() * x.element_size() % 16 == 0 && x.size(3) * x.element_size() % 16 == 0,
        op, ": a head is no multiple of 16 bytes");
  }
  TORCH_CHECK(!enable_gqa, op, ": the memory-efficient kernel groups no heads");
  HostAliases aliases;
  if (mask) {
    check(*mask, op);
    TORCH_CHECK(mask->scalar_type() == q.scalar_type(), op,
                ": invalid dtype for bias - should match query's dtype");
    TORCH_CHECK(mask->stride(-1) == 1, op, ": elements of the mask have gaps");
  }
  ++n_operators;
  const at::Tensor z = at::scaled_dot_product_attention(
      aliases.of(q), aliases.of(k), aliases.of(v),
      mask ? std::optional(aliases.of(*mask)) : std::nullopt, dropout, is_causal, scale);
  return aliases.on_device(z);
}

// ---- Registration

struct DeviceGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return at::kPrivateUse1; }
  at::Device exchangeDevice(at::Device device) const override {
    const at::Device before = current_device();
    setDevice(device);
    return before;
  }
  at::Device getDevice() const override { return current_device(); }
  void setDevice(at::Device device) const override { uncheckedSetDevice(device); }
  void uncheckedSetDevice(at::Device device) const noexcept override {
    if (device.has_index()) current_index = device.index();
  }
  c10::Stream getStream(at::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 2; }
  void synchronizeStream(const c10::Stream&) const override { wait_for_device(); }
  void synchronizeDevice(c10::DeviceIndex) const override { wait_for_device(); }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, DeviceGuard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &PinnedMemory::get(); }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::get().holds(data); }
};

[[maybe_unused]] const bool registered = [] {
  at::set_num_threads(1);  // more would wait for one another most of the time
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  c10::register_privateuse1_backend("test_device");  // whose pinned memory at::empty then gives
  struct sigaction action {};
  action.sa_sigaction = on_touch;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGSEGV, &action, nullptr) == 0;
}();

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_host>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("copy_", copy);
  library.impl("scaled_dot_product_attention", attention);
  library.impl("view", at::native::view);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("unfold", at::native::unfold);
}

}  // namespace

at::Device test_device(int index) {
  return {at::kPrivateUse1, static_cast<c10::DeviceIndex>(index)};
}

DeviceCounts DeviceCounts::operator-(const DeviceCounts& before) const {
  return {operators - before.operators, to_device - before.to_device, to_host - before.to_host,
          synchronisations - before.synchronisations};
}

DeviceCounts device_counts() { return {n_operators, n_to_device, n_to_host, n_synchronisations}; }

void synchronise(const at::Device& device) {
  c10::impl::getDeviceGuardImpl(at::kPrivateUse1)->synchronizeDevice(device.index());
}

std::int64_t peak_bytes(const at::Device& device) {
  return static_cast<std::int64_t>(memory_of(device).peak());
}

void reset_peak(const at::Device& device) { memory_of(device).reset_peak(); }

}  // namespace rvsweep::testing
