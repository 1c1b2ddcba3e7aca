#include "sweep/events.hpp"

#include <algorithm>

#include "rvsweep/core/host.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/terminal.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/status_file.hpp"

namespace rvsweep {
namespace {

/// Commits the bundle with every row failed, so that the sweep goes on and ends without it.
void set_aside(SweepFolder& folder, BundleId id, const std::string& reason) {
  const Bundle bundle = complete_bundle(folder.plan, id);
  const auto rows = std::ssize(bundle.rows);
  BundleResult result =
      failed_result(bundle, folder.sweep.prompt_columns, folder.sweep.row_columns, reason);
  result.run = {0, host_name(), utc_now(), 0};
  write_segment(folder.path, folder.sweep.segment_fingerprint(), result);
  folder.journal->set_aside(id, reason);
  folder.committed.at(static_cast<std::size_t>(id.value)) = true;
  folder.rows.done += rows;
  folder.rows.failed += rows;
  spdlog::error("bundle {} is set aside and its {} rows have failed: {}", id.value, rows, reason);
}

std::string times_text(int times) { return times == 1 ? "once" : std::to_string(times) + " times"; }

void note_failure(SweepFolder& folder, const FailedAttempt& attempt) {
  const BundleId id{attempt.id};
  folder.journal->failed({id, attempt.rank}, attempt.reason);
  if (attempt.last) {
    set_aside(folder, id,
              "bundle " + std::to_string(attempt.id) + " failed " + times_text(attempt.attempts) +
                  ", at last with: " + attempt.reason);
  } else {
    spdlog::warn("bundle {} failed on rank {} and is tried again later: {}", attempt.id,
                 attempt.rank, attempt.reason);
  }
}

void note_lost_rank(SweepFolder& folder, int rank, const std::string& host,
                    const Snapshot& latest) {
  folder.journal->lost(rank);
  const auto& item = latest.ranks.at(static_cast<std::size_t>(rank)).activity.item;
  spdlog::error("rank {} on {} is lost; it {}", rank, host,
                item ? "was computing bundle " + std::to_string(*item) : "was idle");
}

}  // namespace

BundleOutcome outcome_of(const ItemTable& rows) {
  const auto& status = column(rows, columns::status);
  return {std::ssize(status),
          std::ranges::count(status, static_cast<std::int8_t>(RowStatus::failed))};
}

void begin_attempts(SweepFolder& folder, int ranks, int max_attempts) {
  folder.journal = std::make_unique<Journal>(folder.path);
  folder.attempts =
      folder.journal->begin(folder.sweep.segment_fingerprint(), ranks, folder.committed);
  for (const auto& [bundle, attempts] : folder.attempts)
    if (attempts >= max_attempts && !folder.committed.at(static_cast<std::size_t>(bundle.value)))
      set_aside(folder, bundle,
                "the process died " + times_text(attempts) + " while computing bundle " +
                    std::to_string(bundle.value));
}

WorkEvents run_events(SweepFolder& folder, const std::vector<std::string>& hosts,
                      Snapshot& latest) {
  WorkEvents events;
  events.on_assigned = [&folder](const std::vector<Assignment>& assignments) {
    std::vector<BundleOfRank> bundles;
    for (const auto& [id, rank] : assignments) bundles.push_back({BundleId{id}, rank});
    folder.journal->handed_out(bundles);
  };
  events.on_done = [&folder](std::int32_t id, int rank, const Bytes& outcome) {
    folder.journal->done({BundleId{id}, rank});
    const auto counts = from_bytes<BundleOutcome>(outcome);
    folder.rows.done += counts.rows;
    folder.rows.failed += counts.failed;
  };
  events.on_failed = [&folder](const FailedAttempt& attempt) { note_failure(folder, attempt); };
  events.on_returned = [&folder](std::int32_t id, int rank) {
    folder.journal->returned({BundleId{id}, rank});
  };
  events.on_device_error = [](std::int32_t id, int rank, const std::string& reason) {
    spdlog::error("rank {} computes no more, bundle {} goes to another one: {}", rank, id, reason);
  };
  events.on_stop_seen = [&folder](int rank) { folder.journal->seen_alive(rank); };
  events.on_rank_lost = [&folder, &hosts, &latest](int rank) {
    note_lost_rank(folder, rank, hosts.at(static_cast<std::size_t>(rank)), latest);
  };
  events.on_tick = [&folder, &hosts, &latest](const Snapshot& snapshot) {
    latest = snapshot;
    show_progress(
        progress_line(folder.rows, folder.resumed, snapshot.seconds, columns_of_stderr()));
    write_status(folder.path, status_json("running", folder.rows, folder.resumed, snapshot, hosts));
  };
  return events;
}

}  // namespace rvsweep
