#include "rvsweep/storage/folder_lock.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

// A lock file is empty for the moment between its creation and its first write. One that stays
// empty for attempts * retry_pause belongs to a process that died in that moment.
constexpr int attempts = 20;
constexpr std::chrono::milliseconds retry_pause{100};

enum class Flock { taken, held_by_other, unsupported };

Flock try_flock(const Descriptor& file) {
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return Flock::taken;
  return errno == EWOULDBLOCK ? Flock::held_by_other : Flock::unsupported;
}

bool is_still_at(const Descriptor& file, const fs::path& path) {
  struct stat opened {
  }, named{};
  return fstat(file.get(), &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/// Opens the lock file; `created` tells whether it was not there before.
Descriptor open_lock_file(const fs::path& path, bool& created) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  created = fd >= 0;
  if (created) ::close(fd);
  return {path, O_RDWR | O_CREAT};
}

std::optional<LockHolder> parse_holder(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    return LockHolder{json.at("host"), json.at("pid"), json.at("started"), json.value("job", ""),
                      json.value("restarts", 0)};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// This process, named as the holder.
LockHolder this_process() {
  LockHolder self{host_name(), getpid(), utc_now(), "", 0};
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string id = variable("SLURM_JOB_ID"); !id.empty()) {
    self.job = variable("SLURM_CLUSTER_NAME") + "/" + id;
    self.restarts = std::atoi(variable("SLURM_RESTART_COUNT").c_str());
  }
  return self;
}

[[noreturn]] void refuse(const fs::path& path, const std::optional<LockHolder>& holder,
                         bool alive) {
  const std::string who =
      holder ? "process " + std::to_string(holder->pid) + " on " + holder->host + " since " +
                   holder->started + (holder->job.empty() ? "" : " (Slurm job " + holder->job + ")")
             : "a process that left no readable name";
  if (alive)
    throw InputError(path.string(), "the folder is in use by " + who,
                     "wait for it to end, or choose another --out folder");
  throw InputError(path.string(),
                   "the folder is locked by " + who + ", which cannot be asked from " + host_name(),
                   "if that job has ended, delete this file and run again");
}

/// Whether the holder has died. A flock of ours on the same host proves it, and a later start of
/// the same Slurm job.
bool is_stale(const std::optional<LockHolder>& holder, Flock flock) {
  if (!holder) return false;
  const LockHolder self = this_process();
  if (!self.job.empty() && holder->job == self.job && holder->restarts < self.restarts) return true;
  if (holder->host != self.host) return false;
  return flock == Flock::taken || !process_is_alive(holder->pid);
}

void write_holder(const Descriptor& file) {
  const LockHolder self = this_process();
  nlohmann::json holder = {{"host", self.host}, {"pid", self.pid}, {"started", self.started}};
  if (!self.job.empty()) {
    holder["job"] = self.job;
    holder["restarts"] = self.restarts;
  }
  if (ftruncate(file.get(), 0) != 0) fail_writing(file.file(), "be written", errno);
  file.write_at(0, holder.dump() + "\n");
  file.sync();
}

}  // namespace

std::optional<LockHolder> read_lock_holder(const fs::path& sweep_folder) {
  return parse_holder(read_file(lock_file(sweep_folder)).value_or(""));
}

FolderLock::FolderLock(const fs::path& sweep_folder) : file_(lock_file(sweep_folder)) {
  create_folder(sweep_folder);
  Descriptor file;
  bool created = false;
  for (int attempt = 1;; ++attempt) {
    // Whoever created the file keeps that claim while others look into it.
    if (!created || !is_still_at(file, file_)) file = open_lock_file(file_, created);
    const Flock flock = try_flock(file);
    const std::string text = file.read_all();
    const auto holder = parse_holder(text);
    if (flock == Flock::held_by_other) {
      if (!text.empty() || attempt >= attempts) refuse(file_, holder, true);
    } else if (is_still_at(file, file_)) {
      const bool stale = is_stale(holder, flock);
      if (!text.empty() && !stale) refuse(file_, holder, holder && holder->host == host_name());
      if (stale)
        spdlog::warn("{}: taken over from process {} on {}, which died", file_.string(),
                     holder->pid, holder->host);
      if (created || stale || attempt >= attempts) {
        write_holder(file);
        held_ = std::move(file);
        return;
      }
    }
    if (attempt >= attempts)
      throw InputError(file_.string(), "appears and disappears while it is being taken",
                       "run again when no other process starts in this folder");
    if (!created) file = Descriptor();  // lets go of the flock, which the creator is waiting for
    std::this_thread::sleep_for(retry_pause);
  }
}

FolderLock::~FolderLock() {
  std::error_code ignored;
  if (is_still_at(held_, file_)) fs::remove(file_, ignored);
}

}  // namespace rvsweep
