#include "rvsweep/storage/journal_report.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {

JournalTroubles::JournalTroubles(const std::filesystem::path& sweep_folder)
    : file_(journal_file(sweep_folder)) {}

const std::map<BundleId, BundleTrouble>& JournalTroubles::update() {
  std::ifstream stream(file_, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(read_));
  std::string line;
  while (std::getline(stream, line) && !stream.eof()) {  // a line without its end is being written
    read_ += line.size() + 1;
    try {
      apply(line);
    } catch (const nlohmann::json::exception&) {  // no event; the next launch warns of it
    }
  }
  return troubles_;
}

void JournalTroubles::apply(const std::string& line) {
  const auto object = nlohmann::json::parse(line);
  const std::string event = object.at("event");
  const BundleId bundle(object.value("bundle", -1));
  if (event == "launch") {
    if (const std::string sweep = object.value("sweep", ""); sweep != sweep_) {
      troubles_.clear();
      sweep_ = sweep;
    }
    for (const std::int32_t id : object.value("died_in", std::vector<std::int32_t>{})) {
      BundleTrouble& trouble = troubles_[BundleId(id)];
      ++trouble.attempts;
      trouble.reason = "the process died while computing it";
    }
  } else if (event == "failed") {
    BundleTrouble& trouble = troubles_[bundle];
    ++trouble.attempts;
    trouble.reason = object.value("reason", "");
  } else if (event == "set_aside") {
    BundleTrouble& trouble = troubles_[bundle];
    trouble.set_aside = true;
    trouble.reason = object.value("reason", "");
  } else if (event == "done") {
    troubles_.erase(bundle);
  }
}

}  // namespace rvsweep
