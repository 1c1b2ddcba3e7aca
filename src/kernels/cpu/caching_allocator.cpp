#include "rvsweep/kernels/caching_allocator.hpp"

#include <c10/core/Allocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <tuple>
#include <unordered_map>

namespace rvsweep {
namespace {

constexpr std::size_t smallest = std::size_t{1} << 20;  // of the tensors whose memory is kept
constexpr std::size_t huge_page = std::size_t{2} << 20;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + huge_page - 1) / huge_page * huge_page;
}

/// Fresh memory that begins with a huge page.
std::byte* map_pages(std::size_t bytes) {
  const std::size_t asked = bytes + huge_page;
  void* const found =
      mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(found);
  const std::size_t before = whole_pages(reinterpret_cast<std::uintptr_t>(begin)) -
                             reinterpret_cast<std::uintptr_t>(begin);
  if (before > 0) munmap(begin, before);
  if (before < huge_page) munmap(begin + before + bytes, huge_page - before);
  madvise(begin + before, bytes, MADV_HUGEPAGE);
  return begin + before;
}

class KeptMemory : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < smallest) return usual_->allocate(bytes);
    std::byte* const data = take(whole_pages(bytes));
    return {data, data, &give_back, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  using Free = std::multimap<std::size_t, std::byte*>;  // by bytes

  static void give_back(void* data);

  std::byte* take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t size = bytes;
    std::byte* data = nullptr;
    const auto fit = free_.lower_bound(bytes);
    if (fit != free_.end() && fit->first <= bytes + bytes / 4) {
      const auto freed_last = std::prev(free_.upper_bound(fit->first));  // likeliest in a cache
      std::tie(size, data) = *freed_last;
      free_.erase(freed_last);
    }
    most_in_use_ = std::max(most_in_use_, in_use_ + size);
    if (data == nullptr) {
      make_room(size);
      data = map_pages(size);
      mapped_ += size;
    }
    taken_.emplace(data, size);
    in_use_ += size;
    return data;
  }

  /// Unmaps what would let the memory kept exceed a quarter more than tensors have needed at once.
  void make_room(std::size_t bytes) {
    while (!free_.empty() && mapped_ + bytes > most_in_use_ + most_in_use_ / 4) {
      const auto largest = std::prev(free_.end());
      munmap(largest->second, largest->first);
      mapped_ -= largest->first;
      free_.erase(largest);
    }
  }

  bool put(std::byte* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = taken_.find(data);
    if (found == taken_.end()) return false;
    in_use_ -= found->second;
    free_.emplace(found->second, data);
    taken_.erase(found);
    return true;
  }

  c10::Allocator* const usual_ = c10::GetAllocator(c10::DeviceType::CPU);
  std::mutex mutex_;
  Free free_;
  std::unordered_map<std::byte*, std::size_t> taken_;  // bytes of tensors' blocks
  std::size_t in_use_ = 0, most_in_use_ = 0, mapped_ = 0;
};

/// Never destroyed: tensors in static variables outlive everything else.
KeptMemory& kept_memory() {
  static auto* const memory = new KeptMemory;
  return *memory;
}

void KeptMemory::give_back(void* data) {
  if (!kept_memory().put(static_cast<std::byte*>(data))) kept_memory().usual_->raw_deleter()(data);
}

}  // namespace

void use_caching_allocator() { c10::SetAllocator(c10::DeviceType::CPU, &kept_memory()); }

}  // namespace rvsweep
