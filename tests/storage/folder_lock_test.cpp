#include "rvsweep/storage/folder_lock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string text_of(const fs::path& file) { return read_file(file).value(); }

/// The message of the InputError that taking the lock of `folder` ends with.
std::string refusal(const fs::path& folder) {
  try {
    const FolderLock lock(folder);
  } catch (const OutputError& error) {
    ADD_FAILURE() << "an OutputError: " << error.what();
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "the lock was given";
  return "";
}

TEST(FolderLock, NamesItsHolderAndGoesWithIt) {
  const TemporaryFolder folder;
  const fs::path sweep = folder.path() / "new" / "sweep";
  {
    const FolderLock lock(sweep);
    const auto holder = nlohmann::json::parse(text_of(lock_file(sweep)));
    EXPECT_EQ(holder.at("host"), host_name());
    EXPECT_EQ(holder.at("pid"), getpid());
    EXPECT_EQ(holder.at("started").get<std::string>().size(), 20u);
  }
  EXPECT_FALSE(fs::exists(lock_file(sweep)));
  EXPECT_FALSE(read_lock_holder(sweep).has_value());
  const FolderLock again(sweep);
  const auto holder = read_lock_holder(sweep);
  ASSERT_TRUE(holder.has_value());
  EXPECT_EQ(holder->host, host_name());
  EXPECT_EQ(holder->pid, getpid());
}

TEST(FolderLock, IsRefusedWhileAnotherProcessHoldsIt) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FolderLock lock(folder.path());
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string message = refusal(folder.path());
  EXPECT_THAT(message, HasSubstr("process " + std::to_string(child)));
  EXPECT_THAT(message, HasSubstr(host_name()));
  EXPECT_THAT(message, HasSubstr("choose another --out"));

  // Its holder killed, the same lock file is stale.
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(fs::exists(lock_file(folder.path())));
  const FolderLock lock(folder.path());
  EXPECT_EQ(nlohmann::json::parse(text_of(lock_file(folder.path()))).at("pid"), getpid());
}

TEST(FolderLock, IsRefusedTwiceInOneProcess) {
  const TemporaryFolder folder;
  const FolderLock lock(folder.path());
  EXPECT_THAT(refusal(folder.path()), HasSubstr("in use"));
  EXPECT_TRUE(fs::exists(lock_file(folder.path())));
}

TEST(FolderLock, OfAnotherHostIsNeverTakenOver) {
  const TemporaryFolder folder;
  const std::string text =
      R"({"host":"far-node","pid":2000000000,"started":"2024-05-01T12:00:00Z"})";
  std::ofstream(lock_file(folder.path())) << text;
  const std::string message = refusal(folder.path());
  EXPECT_THAT(message, HasSubstr("process 2000000000 on far-node since 2024-05-01T12:00:00Z"));
  EXPECT_THAT(message, HasSubstr("delete this file"));
  EXPECT_THAT(message, HasSubstr(lock_file(folder.path()).string()));
  EXPECT_EQ(text_of(lock_file(folder.path())), text);
}

/// The environment of one start of a Slurm job, for as long as the object lives.
struct SlurmStart {
  SlurmStart(const char* job, const char* restarts) {
    setenv("SLURM_CLUSTER_NAME", "alps", 1);
    setenv("SLURM_JOB_ID", job, 1);
    setenv("SLURM_RESTART_COUNT", restarts, 1);
  }
  ~SlurmStart() {
    for (const char* name : {"SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_RESTART_COUNT"})
      unsetenv(name);
  }
};

TEST(FolderLock, OfAnEarlierStartOfTheSameSlurmJobIsTakenOver) {
  const auto left_by = [](const char* job, int restarts) {
    return nlohmann::json{{"host", "far-node"},
                          {"pid", 7},
                          {"started", "2024"},
                          {"job", job},
                          {"restarts", restarts}};
  };
  const TemporaryFolder folder;
  const SlurmStart second("4711", "1");
  std::ofstream(lock_file(folder.path())) << left_by("alps/4711", 0);
  {
    const FolderLock lock(folder.path());
    const auto holder = nlohmann::json::parse(text_of(lock_file(folder.path())));
    EXPECT_EQ(holder.at("host"), host_name());
    EXPECT_EQ(holder.at("job"), "alps/4711");
    EXPECT_EQ(holder.at("restarts"), 1);
  }
  // Another job, another cluster's, and a second step of this start may still run.
  for (const auto& other :
       {left_by("alps/4710", 0), left_by("jura/4711", 0), left_by("alps/4711", 1)}) {
    std::ofstream(lock_file(folder.path())) << other;
    const std::string message = refusal(folder.path());
    EXPECT_THAT(message, HasSubstr("far-node"));
    EXPECT_THAT(message, HasSubstr(other.at("job").get<std::string>()));
  }
}

TEST(FolderLock, WithAReusedProcessIdIsTakenOver) {
  const TemporaryFolder folder;
  // The id lives (it is ours), but whoever wrote it no longer holds the flock.
  std::ofstream(lock_file(folder.path()))
      << nlohmann::json{{"host", host_name()}, {"pid", getpid()}, {"started", "2001"}};
  const FolderLock lock(folder.path());
  EXPECT_NE(nlohmann::json::parse(text_of(lock_file(folder.path()))).at("started"), "2001");
}

TEST(FolderLock, WithUnreadableContentIsLeftToTheUser) {
  const TemporaryFolder folder;
  for (const char* text : {"garbage", "[1]", "{\"host\":1}"}) {
    std::ofstream(lock_file(folder.path())) << text;
    EXPECT_THAT(refusal(folder.path()), HasSubstr("delete this file"));
    EXPECT_FALSE(read_lock_holder(folder.path()).has_value()) << text;
    EXPECT_EQ(text_of(lock_file(folder.path())), text);
  }
}

TEST(FolderLock, LeftEmptyByADyingProcessIsTakenOver) {
  const TemporaryFolder folder;
  std::ofstream(lock_file(folder.path())) << "";
  const FolderLock lock(folder.path());
  EXPECT_EQ(nlohmann::json::parse(text_of(lock_file(folder.path()))).at("pid"), getpid());
}

TEST(FolderLock, IsWonByOneOfManyAtOnce) {
  const TemporaryFolder folder;
  for (int round = 0; round < 20; ++round) {
    int go[2], done[2];
    ASSERT_EQ(pipe(go), 0);
    ASSERT_EQ(pipe(done), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      char byte = 0;
      close(go[1]);
      if (read(go[0], &byte, 1) != 0) _exit(3);  // ends when the parent lets go
      try {
        const FolderLock lock(folder.path());
        if (write(done[1], "w", 1) != 1) _exit(3);
        for (;;) ::pause();
      } catch (const InputError&) {
        if (write(done[1], "l", 1) != 1) _exit(3);
        _exit(0);
      }
    }
    close(go[0]);
    close(go[1]);
    std::string outcomes(4, '?');
    for (char& outcome : outcomes) ASSERT_EQ(read(done[0], &outcome, 1), 1);
    EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), 'w'), 1) << outcomes;
    for (pid_t child : children) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    close(done[0]);
    close(done[1]);
    // Odd rounds start from the lock that the killed winner left.
    if (round % 2 == 0) fs::remove(lock_file(folder.path()));
  }
}

TEST(FolderLock, InAnUnwritableFolderIsAnOutputError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(FolderLock(folder.path() / "file" / "sweep"), OutputError);
}

}  // namespace
}  // namespace rvsweep
