#include "rvsweep/comm/nccl.hpp"

#include <dlfcn.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>

namespace rvsweep {
namespace {

/// ncclUniqueId of nccl.h: 128 opaque bytes.
struct UniqueId {
  char bytes[128];
};

/// The head of nccl.h's ncclConfig_t as NCCL 2.14 had it; later versions give defaults to what
/// follows, because `size` and `version` say that it is not there.
struct Config {
  std::size_t size = offsetof(Config, blocking) + sizeof(int);
  std::uint32_t magic = 0xcafebeef;
  std::uint32_t version = 21400;
  int blocking = 0;
};

constexpr int nccl_success = 0, nccl_in_progress = 7;
constexpr int nccl_int8 = 0;           // ncclInt8: bytes as they are
constexpr int cuda_not_ready = 600;    // cudaErrorNotReady
void* const default_stream = nullptr;  // on which libtorch works too

/// The few calls that are needed, looked up by name.
struct Library {
  int (*get_unique_id)(UniqueId*) = nullptr;
  int (*init_rank)(void**, int, UniqueId, int, Config*) = nullptr;
  int (*async_error)(void*, int*) = nullptr;
  int (*broadcast)(const void*, void*, std::size_t, int, int, void*, void*) = nullptr;
  int (*abort)(void*) = nullptr;  // does not wait for other ranks, as ncclCommDestroy may
  const char* (*error_text)(int) = nullptr;
  int (*query_stream)(void*) = nullptr;  // cudaStreamQuery

  static std::optional<Library> open() {
    void* nccl = dlopen("libnccl.so.2", RTLD_LAZY | RTLD_GLOBAL);
    Library library;
    const bool complete = nccl != nullptr &&
                          look_up(nccl, "ncclGetUniqueId", library.get_unique_id) &&
                          look_up(nccl, "ncclCommInitRankConfig", library.init_rank) &&
                          look_up(nccl, "ncclCommGetAsyncError", library.async_error) &&
                          look_up(nccl, "ncclBroadcast", library.broadcast) &&
                          look_up(nccl, "ncclCommAbort", library.abort) &&
                          look_up(nccl, "ncclGetErrorString", library.error_text) &&
                          // Of the runtime that libtorch_cuda has loaded.
                          look_up(RTLD_DEFAULT, "cudaStreamQuery", library.query_stream);
    return complete ? std::optional(library) : std::nullopt;
  }

 private:
  template <class Function>
  static bool look_up(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }
};

/// Asks until the answer is not `pending`; that is the answer when `limit` is over, too.
template <class Ask>
int wait_while(int pending, Seconds limit, const Ask& ask) {
  const auto end = std::chrono::steady_clock::now() + limit;
  int answer = ask();
  while (answer == pending && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    answer = ask();
  }
  return answer;
}

/// The first rank's trouble, on every rank. Collective.
std::optional<std::string> first_trouble(Communicator& communicator, const std::string& own) {
  const auto troubles = communicator.all_gather(own);
  for (std::size_t rank = 0; rank < troubles.size(); ++rank)
    if (!troubles[rank].empty()) return troubles[rank] + " on rank " + std::to_string(rank);
  return std::nullopt;
}

/// One rank's communicator, which never blocks.
class Joined {
 public:
  explicit Joined(const Library& library) : library_(library) {}
  ~Joined() {
    if (communicator_ != nullptr) library_.abort(communicator_);
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;

  /// What went wrong; empty where nothing did.
  std::string join(int ranks, const UniqueId& id, int rank, Seconds limit) {
    Config config;
    return trouble("joining", library_.init_rank(&communicator_, ranks, id, rank, &config), limit);
  }

  std::string broadcast(const DeviceMemory& memory, int root, Seconds limit) {
    const int sent = library_.broadcast(memory.data, memory.data, memory.bytes, nccl_int8, root,
                                        communicator_, default_stream);
    if (std::string text = trouble("sending", sent, limit); !text.empty()) return text;
    const int arrived =
        wait_while(cuda_not_ready, limit, [&] { return library_.query_stream(default_stream); });
    if (arrived == cuda_not_ready) return late("sending", limit);
    if (arrived != 0) return "the GPU reports error " + std::to_string(arrived);
    return trouble("sending", nccl_success, limit);
  }

 private:
  static std::string late(const std::string& doing, Seconds limit) {
    return fmt::format("NCCL: {} took longer than {:g} s", doing, limit.count());
  }

  /// Of a call that returned `result` and may go on.
  std::string trouble(const std::string& doing, int result, Seconds limit) {
    if (result == nccl_success || result == nccl_in_progress)
      result = wait_while(nccl_in_progress, limit, [&] {
        int state = nccl_success;
        const int asked = library_.async_error(communicator_, &state);
        return asked == nccl_success ? state : asked;
      });
    if (result == nccl_success) return "";
    if (result == nccl_in_progress) return late(doing, limit);
    return "NCCL: " + doing + " failed (" + library_.error_text(result) + ")";
  }

  const Library& library_;
  void* communicator_ = nullptr;
};

}  // namespace

std::string why_not_join(const std::vector<NcclRank>& ranks) {
  std::set<std::string> gpus;
  for (const NcclRank& rank : ranks) {
    if (!rank.has_library) return "libnccl.so.2 (2.14 or later) is not there on every rank";
    if (rank.gpu_uuid.empty()) return "the driver does not say which GPU a rank has";
    if (!gpus.insert(rank.gpu_uuid).second) return "two ranks share one GPU";
  }
  return "";
}

std::optional<std::string> broadcast_by_nccl(Communicator& communicator, const DeviceMemory& memory,
                                             int root, Seconds limit) {
  const auto library = Library::open();
  std::vector<NcclRank> ranks;
  for (const auto& told : communicator.all_gather((library ? "+" : "-") + memory.gpu_uuid))
    ranks.push_back({told.front() == '+', told.substr(1)});
  if (std::string reason = why_not_join(ranks); !reason.empty()) return reason;

  UniqueId id{};
  std::string trouble;
  if (communicator.rank() == root)
    if (const int result = library->get_unique_id(&id); result != nccl_success)
      trouble = std::string("NCCL: ncclGetUniqueId failed (") + library->error_text(result) + ")";
  if (auto told = first_trouble(communicator, trouble)) return told;
  Bytes bytes(sizeof id);
  std::memcpy(bytes.data(), id.bytes, sizeof id);
  communicator.broadcast(bytes, root);
  std::memcpy(id.bytes, bytes.data(), sizeof id);

  Joined joined(*library);
  trouble = joined.join(communicator.size(), id, communicator.rank(), limit);
  if (auto told = first_trouble(communicator, trouble)) return told;
  return first_trouble(communicator, joined.broadcast(memory, root, limit));
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
