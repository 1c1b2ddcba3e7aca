#include "storage/journal_event.hpp"

#include <nlohmann/json.hpp>

namespace rvsweep {

std::optional<JournalEvent> parse_journal_event(const std::string& line) {
  try {
    const auto object = nlohmann::json::parse(line);
    return JournalEvent{
        object.at("event"),         object.value("sweep", ""),
        object.value("bundle", -1), object.value("rank", -1),
        object.value("reason", ""), object.value("died_in", std::vector<std::int32_t>{})};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace rvsweep
