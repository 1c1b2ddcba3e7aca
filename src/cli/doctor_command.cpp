#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "rvsweep/comm/mpi_communicator.hpp"
#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/comm/world.hpp"
#include "rvsweep/core/cores.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/version.hpp"
#include "rvsweep/experiment/self_check.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/kernels/hardware.hpp"
#include "rvsweep/storage/folder_check.hpp"
#include "rvsweep/storage/h5_version.hpp"
#include "rvsweep/sweep/launch.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// One line of the report; `advice` says what to do about a warning or problem.
struct Finding {
  const char* level;  // ok, warning, problem
  std::string item, text, advice;
};
using Findings = std::vector<Finding>;

Finding ok(const std::string& item, const std::string& text) { return {"ok", item, text, ""}; }

std::string variable_or(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

void look_at_mpi(Findings& found) {
  found.push_back(ok("mpi", mpi_library_version()));
  try {
    const bool as_rank = launched_as_mpi_rank(std::getenv);
    const World world;  // throws where the ranks do not find each other
    const int size = world.communicator().size();
    found.push_back(ok("launcher", as_rank ? fmt::format("started as one of {} ranks", size)
                                           : "none: this process is a world of its own"));
    if (const std::string unused = unused_cores(world.communicator(), world.node());
        !unused.empty())
      found.push_back({"warning", "binding", unused, ""});
  } catch (const InputError& error) {
    found.push_back(
        {"problem", "launcher", error.what(), "srun --mpi=list tells whether --mpi=pmix is there"});
  }
}

void look_at_cores(Findings& found) {
  const GivenCores cores = given_cores(std::getenv);
  std::string text = fmt::format("{} in the affinity mask", cores.mask.size());
  if (cores.per_task) text += fmt::format(", SLURM_CPUS_PER_TASK {}", *cores.per_task);
  if (cores.on_node) text += fmt::format(", SLURM_CPUS_ON_NODE {}", *cores.on_node);
  if (cores.group_quota) text += fmt::format(", control group grants {:.1f}", *cores.group_quota);
  text += fmt::format("; run.threads=auto gives one rank {}", threads_for_rank(cores, 1, 1));
  if (cores.per_task && *cores.per_task > static_cast<int>(cores.mask.size()))
    found.push_back({"warning", "cores", text,
                     "the mask is narrower than what Slurm gave: start ranks with srun, or mpirun "
                     "--bind-to none"});
  else
    found.push_back(ok("cores", text));
}

std::string cpu_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("flags")) return line + " ";
  return "";
}

void look_at_cpu(Findings& found) {
  const std::string flags = cpu_flags(), used = hardware_name(Placement{});
  std::string text = "used: " + used + "; found:";
  for (const char* flag : {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})
    if (const std::string word = fmt::format(" {}", flag);
        flags.find(word + " ") != std::string::npos)
      text += word;
  if (const std::string set = variable_or("ATEN_CPU_CAPABILITY", ""); !set.empty())
    found.push_back({"warning", "cpu", text + "; ATEN_CPU_CAPABILITY=" + set,
                     "a sweep keeps the instruction set it began with: set it everywhere or "
                     "nowhere"});
  else if (used == "DEFAULT")
    found.push_back({"warning", "cpu", text, "without AVX2 expect a small part of the speed"});
  else
    found.push_back(ok("cpu", text));
}

void look_at_libtorch(Findings& found) {
  found.push_back(ok("libtorch", libtorch_version()));
  const std::string blas = blas_name();
  if (blas == "generic" || blas == "unknown")
    found.push_back({"warning", "blas", blas,
                     "this libtorch has no optimised BLAS: take PyTorch's wheel or one built with "
                     "MKL or OpenBLAS"});
  else
    found.push_back(ok("blas", blas));
}

void look_at_gpus(const GpuReport& gpus, Findings& found) {
  if (!gpus.has_driver) {
    found.push_back(ok("gpu", "none (no driver); sweeps run on the CPU"));
    return;
  }
  if (const auto& libraries = gpus.libraries)
    found.push_back(ok("cuda", fmt::format("CUDA {}, cuBLAS {}, cuDNN {}", libraries->cuda,
                                           libraries->cublas, libraries->cudnn)));
  if (!gpus.problem.empty()) {
    found.push_back({"problem", "gpu", gpus.problem,
                     "sweeps run on the CPU until that is mended, see nvidia-smi"});
    return;
  }
  found.push_back(ok("gpu", fmt::format("{}: {}; driver {}", gpus.names.size(),
                                        fmt::join(gpus.names, ", "), gpus.driver)));
  if (const auto version = nccl_version())
    found.push_back(ok("nccl", *version));
  else
    found.push_back({"warning", "nccl", "libnccl.so.2 is not found",
                     "weights will go by other ways; to use NCCL add its folder to "
                     "LD_LIBRARY_PATH"});
}

/// A device in one dtype, see experiment/self_check.hpp.
Finding look_at_arithmetic(const std::string& device, int index, const std::string& dtype) {
  const std::string item = "self-check";
  const std::string where = fmt::format("{} {} in {}: ", device, index, dtype);
  try {
    const Placement placement = place_rank(device, dtype, index);
    prepare_thread(placement, /*threads=*/1);
    const auto checked = self_check(placement, operations_of(placement), /*threads=*/1);
    if (const CheckedOperation* const failure = first_failure(checked))
      return {"problem", item, where + failure->text(),
              "it computes something else than the CPU in float32: do not use it so"};
    const auto worst = std::ranges::max_element(checked, {}, &CheckedOperation::share);
    return ok(item, fmt::format("{}{} operations are right; nearest to its bound: {}", where,
                                checked.size(), worst->text()));
  } catch (const std::exception& error) {
    return {"problem", item, where + error.what(), "do not use it so"};
  }
}

void look_at_arithmetic(const GpuReport& gpus, Findings& found) {
  for (const char* dtype : {"float32", "bfloat16"})
    found.push_back(look_at_arithmetic("cpu", 0, dtype));
  const auto n_gpus = static_cast<int>(gpus.names.size());
  for (int index = 0; index < n_gpus; ++index)
    for (const char* dtype : {"float32", "bfloat16", "float16"})
      found.push_back(look_at_arithmetic("cuda", index, dtype));
}

void look_at_folder(const std::string& folder, Findings& found) {
  FolderCheck check;
  try {
    check = check_folder(folder);
  } catch (const OutputError& error) {
    found.push_back({"problem", "folder", error.what(), "choose a folder that you may write to"});
    return;
  }
  const std::string where = folder + " (" + check.file_system + ")";
  if (check.file_system == "tmpfs" || check.file_system == "ramfs")
    found.push_back({"warning", "folder", where + " lies in memory",
                     "a restart of the machine loses it: choose a disk"});
  else
    found.push_back(ok("folder", where));
  const auto result = [&](const char* item, const std::string& wrong, const char* level,
                          const char* advice) {
    found.push_back(wrong.empty() ? ok(item, "works") : Finding{level, item, wrong, advice});
  };
  result("fsync", check.fsync, "problem",
         "results could be lost in a crash: choose another folder");
  result("rename", check.rename, "problem", "commits rely on it: choose another folder");
  result("flock", check.flock, "warning",
         "two runs on different machines are then told apart by DIR/lock alone");
  result("fcntl", check.fcntl, "warning", "nothing here needs it; other programs may");
  const std::string free = fmt::format("{:.1f} GB", static_cast<double>(check.free_bytes) / 1e9);
  if (check.free_bytes < 1'000'000'000)
    found.push_back({"warning", "space", free + " free", "make room before a long sweep"});
  else
    found.push_back(ok("space", free + " free"));
}

void print_json(const Findings& found) {
  auto items = nlohmann::ordered_json::array();
  for (const Finding& f : found) {
    nlohmann::ordered_json item{{"item", f.item}, {"level", f.level}, {"text", f.text}};
    if (!f.advice.empty()) item["advice"] = f.advice;
    items.push_back(std::move(item));
  }
  std::cout << items.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void print_lines(const Findings& found) {
  for (const Finding& f : found)
    std::cout << fmt::format("{:<8} {:<10} {}{}\n", f.level, f.item, f.text,
                             f.advice.empty() ? "" : ": " + f.advice);
}

}  // namespace

int doctor_command(const Arguments& arguments) {
  po::options_description all("Doctor");
  all.add_options()("dir,d", po::value<std::string>()->default_value("."),
                    "folder that sweeps are to be written to")("json", po::bool_switch(),
                                                               "one JSON array on stdout");
  const auto options = parse_options(arguments, all, "doctor [--dir D] [--json]");
  if (!options) return exit_done;
  Findings found{ok("rvsweep", version_text())};
  look_at_mpi(found);
  look_at_cores(found);
  look_at_cpu(found);
  look_at_libtorch(found);
  const GpuReport gpus = find_gpus();
  look_at_gpus(gpus, found);
  look_at_arithmetic(gpus, found);
  found.push_back(ok("hdf5", hdf5_version()));
  look_at_folder((*options)["dir"].as<std::string>(), found);
  if ((*options)["json"].as<bool>())
    print_json(found);
  else
    print_lines(found);
  const bool problems = std::any_of(found.begin(), found.end(), [](const Finding& f) {
    return std::string(f.level) == "problem";
  });
  return problems ? exit_internal_error : exit_done;
}

}  // namespace rvsweep
