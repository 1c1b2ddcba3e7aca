// Preloaded: on the MPI ranks listed in $BROKEN_RANKS ("0,2"; a process without MPI is rank 0) the
// embedding, which every forward pass begins with, works $BROKEN_AFTER times. Then, by $BROKEN_BY,
// it fails at every call like a broken GPU ("device") or a full one ("memory"), or at one call like
// a full one ("memory_once").
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/embedding_ops.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace {

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

bool rank_is_listed() {
  const std::string list = "," + variable("BROKEN_RANKS", "") + ",";
  return list.find("," + variable("OMPI_COMM_WORLD_RANK", "0") + ",") != std::string::npos;
}

void fail_where_asked() {
  static const bool listed = rank_is_listed();
  static const std::string by = variable("BROKEN_BY", "device");
  static const long after = std::stol(variable("BROKEN_AFTER", "0"));
  static std::atomic<long> calls = 0;
  if (!listed) return;
  const long call = calls++;
  if (call < after || (by == "memory_once" && call > after)) return;
  const c10::SourceLocation here{__func__, __FILE__, __LINE__};
  if (by == "device")
    throw c10::AcceleratorError(here, 710, "CUDA error: device-side assert triggered\nmore");
  throw c10::OutOfMemoryError(here, "CUDA out of memory. Tried to allocate 20.00 GiB.");
}

}  // namespace

at::Tensor at::_ops::embedding::call(const at::Tensor& weight, const at::Tensor& indices,
                                     c10::SymInt padding_idx, bool scale_grad_by_freq,
                                     bool sparse) {
  fail_where_asked();
  static const auto next =
      c10::Dispatcher::singleton().findSchemaOrThrow("aten::embedding", "").typed<schema>();
  return next.call(weight, indices, padding_idx, scale_grad_by_freq, sparse);
}
