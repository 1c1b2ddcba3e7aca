#include "rvsweep/storage/journal.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr off_t reserved_bytes = 65536;  // for reports

std::string line(const nlohmann::ordered_json& event) {
  return event.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string line(const char* event, BundleOfRank of) {
  return line({{"event", event}, {"bundle", of.bundle.value}, {"rank", of.rank}});
}

}  // namespace

std::optional<JournalEvent> parse_journal_event(const std::string& line) {
  try {
    const auto object = json::parse(line);
    return JournalEvent{
        object.at("event"),         object.value("sweep", ""),
        object.value("bundle", -1), object.value("rank", -1),
        object.value("reason", ""), object.value("died_in", std::vector<std::int32_t>{})};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

Journal::Journal(const fs::path& sweep_folder)
    : file_(journal_file(sweep_folder), O_RDWR | O_CREAT) {
  std::string text = file_.read_all();
  const std::size_t whole = text.rfind('\n') + 1;  // 0 where there is none
  if (whole < text.size()) {
    spdlog::warn("{}: its last line was cut short and is removed", file_.file().string());
    if (ftruncate(file_.get(), static_cast<off_t>(whole)) != 0)
      fail_writing(file_.file(), "be written", errno);
    text.resize(whole);
  }
  size_ = whole;
  std::istringstream lines(text);
  std::string line;
  for (int line_number = 1; std::getline(lines, line); ++line_number)
    if (const auto event = parse_journal_event(line))
      apply(*event);
    else
      spdlog::warn("{}:{}: is no event and is passed over", file_.file().string(), line_number);
}

void Journal::apply(const JournalEvent& event) {
  const BundleId bundle{event.bundle};
  auto& held = held_[event.rank];
  if (event.event == "launch") {
    if (event.sweep != sweep_) attempts_.clear();
    sweep_ = event.sweep;
    for (const std::int32_t id : event.died_in) ++attempts_[BundleId{id}];
    held_.clear();
    alive_.clear();
    lost_ = -1;
  } else if (event.event == "handed_out") {
    held.push_back(bundle);
  } else if (event.event == "seen_alive") {
    alive_.push_back(event.rank);
  } else if (event.event == "lost") {
    lost_ = event.rank;
  } else {
    std::erase(held, bundle);
    if (event.event == "failed") ++attempts_[bundle];
    if (event.event == "done" || event.event == "set_aside") attempts_.erase(bundle);
  }
}

std::vector<BundleId> Journal::suspects(const std::vector<bool>& committed) const {
  std::vector<BundleId> found;
  for (const auto& [rank, bundles] : held_) {
    if (lost_ >= 0 ? rank != lost_ : std::count(alive_.begin(), alive_.end(), rank) > 0) continue;
    const auto first = std::find_if(bundles.begin(), bundles.end(), [&](BundleId bundle) {
      const auto at = static_cast<std::size_t>(bundle.value);
      return at < committed.size() && !committed[at];
    });
    if (first != bundles.end()) found.push_back(*first);
  }
  return found;
}

Attempts Journal::begin(std::uint64_t sweep_fingerprint, int ranks,
                        const std::vector<bool>& committed) {
  JournalEvent launch{"launch", hex(sweep_fingerprint)};
  if (launch.sweep == sweep_)
    for (const BundleId bundle : suspects(committed)) launch.died_in.push_back(bundle.value);
  append(line({{"event", launch.event},
               {"time", utc_now()},
               {"host", host_name()},
               {"pid", getpid()},
               {"ranks", ranks},
               {"sweep", launch.sweep},
               {"died_in", launch.died_in}}));
  file_.sync();
  sync_folder(file_.file().parent_path());
  apply(launch);
  return attempts_;
}

void Journal::append(const std::string& lines) {
  file_.write_at(size_, lines);
  size_ += lines.size();
}

void Journal::handed_out(const std::vector<BundleOfRank>& bundles) {
  std::string lines;
  for (const BundleOfRank& of : bundles) lines += line("handed_out", of);
  append(lines);
  // File systems that cannot reserve bytes are accepted.
  const int reserved =
      fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(size_), reserved_bytes);
  if (reserved != 0 && (errno == ENOSPC || errno == EDQUOT))
    fail_writing(file_.file(), "be written", errno);
  file_.sync();
}

void Journal::done(BundleOfRank bundle) { append(line("done", bundle)); }

void Journal::failed(BundleOfRank bundle, const std::string& reason) {
  append(line({{"event", "failed"},
               {"bundle", bundle.bundle.value},
               {"rank", bundle.rank},
               {"reason", reason}}));
}

void Journal::returned(BundleOfRank bundle) { append(line("returned", bundle)); }

void Journal::set_aside(BundleId bundle, const std::string& reason) {
  append(line({{"event", "set_aside"}, {"bundle", bundle.value}, {"reason", reason}}));
}

void Journal::seen_alive(int rank) { append(line({{"event", "seen_alive"}, {"rank", rank}})); }

void Journal::lost(int rank) { append(line({{"event", "lost"}, {"rank", rank}})); }

JournalTroubles::JournalTroubles(const std::filesystem::path& sweep_folder)
    : file_(journal_file(sweep_folder)) {}

const std::map<BundleId, BundleTrouble>& JournalTroubles::update() {
  std::ifstream stream(file_, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(read_));
  std::string line;
  while (std::getline(stream, line) && !stream.eof()) {  // a line without its end is being written
    read_ += line.size() + 1;
    // The next launch warns of lines that are no event.
    if (const auto event = parse_journal_event(line)) apply(*event);
  }
  return troubles_;
}

void JournalTroubles::apply(const JournalEvent& event) {
  const BundleId bundle(event.bundle);
  const auto failed = [&](BundleId id, const std::string& reason) {
    ++troubles_[id].attempts;
    troubles_[id].reason = reason;
  };
  if (event.event == "launch") {
    if (event.sweep != sweep_) troubles_.clear();
    sweep_ = event.sweep;
    for (const std::int32_t id : event.died_in)
      failed(BundleId(id), "the process died while computing it");
  } else if (event.event == "failed") {
    failed(bundle, event.reason);
  } else if (event.event == "set_aside") {
    troubles_[bundle].set_aside = true;
    troubles_[bundle].reason = event.reason;
  } else if (event.event == "done") {
    troubles_.erase(bundle);
  }
}

}  // namespace rvsweep
