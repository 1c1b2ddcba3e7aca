#include "rvsweep/comm/nccl.hpp"

#include <dlfcn.h>

#include <cstring>
#include <set>
#include <stdexcept>

namespace rvsweep {
namespace {

/// ncclUniqueId of nccl.h: 128 opaque bytes.
struct UniqueId {
  char bytes[128];
};
constexpr int nccl_int8 = 0;  // ncclInt8: bytes as they are

}  // namespace

/// The few calls that are needed, looked up by name.
struct Nccl::Library {
  int (*get_unique_id)(UniqueId*) = nullptr;
  int (*init_rank)(void**, int, UniqueId, int) = nullptr;
  int (*broadcast)(const void*, void*, std::size_t, int, int, void*, void*) = nullptr;
  int (*destroy)(void*) = nullptr;
  const char* (*error_text)(int) = nullptr;
  int (*set_device)(int) = nullptr;  // cudaSetDevice
  int (*synchronize)() = nullptr;    // cudaDeviceSynchronize

  static std::unique_ptr<Library> open() {
    void* nccl = dlopen("libnccl.so.2", RTLD_LAZY | RTLD_GLOBAL);
    if (nccl == nullptr) return nullptr;
    auto library = std::make_unique<Library>();
    // The runtime that libtorch_cuda has loaded already.
    const bool complete = look_up(nccl, "ncclGetUniqueId", library->get_unique_id) &&
                          look_up(nccl, "ncclCommInitRank", library->init_rank) &&
                          look_up(nccl, "ncclBroadcast", library->broadcast) &&
                          look_up(nccl, "ncclCommDestroy", library->destroy) &&
                          look_up(nccl, "ncclGetErrorString", library->error_text) &&
                          look_up(RTLD_DEFAULT, "cudaSetDevice", library->set_device) &&
                          look_up(RTLD_DEFAULT, "cudaDeviceSynchronize", library->synchronize);
    return complete ? std::move(library) : nullptr;
  }

  void check(int result, const char* doing) const {
    if (result != 0)
      throw std::runtime_error(std::string("NCCL: ") + doing + " failed (" + error_text(result) +
                               ")");
  }

 private:
  template <class Function>
  static bool look_up(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }
};

std::unique_ptr<Nccl> Nccl::join(Communicator& communicator, const std::string& host,
                                 int device_index, std::string& why_not) {
  const std::string device_name = host + "/" + std::to_string(device_index);
  auto library = Library::open();
  std::set<std::string> devices;
  bool all_have_it = true;
  for (const auto& rank : communicator.all_gather((library ? "+" : "-") + device_name)) {
    all_have_it &= rank.front() == '+';
    devices.insert(rank.substr(1));
  }
  if (!all_have_it) {
    why_not = "libnccl.so.2 is not there on every rank";
    return nullptr;
  }
  if (static_cast<int>(devices.size()) != communicator.size()) {
    why_not = "two ranks share one GPU";
    return nullptr;
  }
  UniqueId id{};
  if (communicator.rank() == 0) library->check(library->get_unique_id(&id), "ncclGetUniqueId");
  Bytes bytes(sizeof id);
  std::memcpy(bytes.data(), id.bytes, sizeof id);
  communicator.broadcast(bytes, 0);
  std::memcpy(id.bytes, bytes.data(), sizeof id);
  if (library->set_device(device_index) != 0)
    throw std::runtime_error("NCCL: the rank's GPU cannot be selected");
  void* nccl_communicator = nullptr;
  library->check(
      library->init_rank(&nccl_communicator, communicator.size(), id, communicator.rank()),
      "ncclCommInitRank");
  return std::unique_ptr<Nccl>(new Nccl(std::move(library), nccl_communicator));
}

Nccl::Nccl(std::unique_ptr<Library> library, void* nccl_communicator)
    : library_(std::move(library)), nccl_communicator_(nccl_communicator) {}

Nccl::~Nccl() { library_->destroy(nccl_communicator_); }

void Nccl::broadcast(void* device_memory, std::size_t bytes, int root) {
  library_->check(library_->broadcast(device_memory, device_memory, bytes, nccl_int8, root,
                                      nccl_communicator_, /*stream=*/nullptr),
                  "ncclBroadcast");
  if (library_->synchronize() != 0) throw std::runtime_error("NCCL: the GPU reports an error");
}

std::optional<std::string> nccl_version() {
  void* nccl = dlopen("libnccl.so.2", RTLD_LAZY);
  if (nccl == nullptr) return std::nullopt;
  const auto get = reinterpret_cast<int (*)(int*)>(dlsym(nccl, "ncclGetVersion"));
  int code = 0;  // 10000 major + 100 minor + patch
  if (get == nullptr || get(&code) != 0) return "of unknown version";
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

}  // namespace rvsweep
