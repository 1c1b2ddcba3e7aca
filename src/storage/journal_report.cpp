#include "rvsweep/storage/journal_report.hpp"

#include <fstream>

#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/journal_event.hpp"

namespace rvsweep {

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
