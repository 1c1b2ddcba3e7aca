#include "cli/status_page.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

nlohmann::ordered_json rank(int number, double silent) {
  return {{"rank", number},        {"host", "node-" + std::to_string(number)},
          {"bundles_done", 4},     {"seconds_since_sign_of_life", silent},
          {"bundle", 10 + number}, {"bundle_seconds", 62.0}};
}

StatusView sample_view(int ranks) {
  StatusView view;
  view.status = {
      {"state", "running"},     {"rows_total", 110},   {"rows_refused", 10},
      {"rows_done", 25},        {"rows_left", 75},     {"rows_failed", 2},
      {"rows_per_second", 5.0}, {"eta_seconds", 15.0}, {"ranks", nlohmann::ordered_json::array()}};
  for (int r = 0; r < ranks; ++r) view.status["ranks"].push_back(rank(r, 0.4));
  view.rows_per_second = 7.5;
  return view;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

bool shows(const std::vector<std::string>& page, const std::string& part) {
  return joined(page).find(part) != std::string::npos;
}

TEST(StatusPage, ShowsBarCountsSpeedAndRanks) {
  const auto page = status_page("out", sample_view(2), 80, 24);
  EXPECT_EQ(page[0], "running: out");
  EXPECT_EQ(page[1], "[" + std::string(18, '#') + std::string(54, '-') + "] 25 %");
  for (const char* part : {"25 of 110 rows done, 75 left, 10 refused, 2 failed", "7.5 rows/s now",
                           "5.0 rows/s on average", "ETA 0:15",
                           "1    node-1  bundle 11 for 1:02, 4 done, heard 0 s ago"})
    EXPECT_TRUE(shows(page, part)) << part << "\n" << joined(page);
  EXPECT_FALSE(shows(page, "SILENT"));
}

TEST(StatusPage, HasNoSpeedWhereNoRowWasComputed) {
  auto view = sample_view(1);
  view.rows_per_second = std::nullopt;
  view.status["rows_per_second"] = 0.0;
  EXPECT_FALSE(shows(status_page("out", view, 80, 24), "rows/s"));
}

TEST(StatusPage, MarksRanksThatAreSilent) {
  auto view = sample_view(2);
  view.status["ranks"][1] = rank(1, 61);
  EXPECT_TRUE(
      shows(status_page("out", view, 80, 24), "node-1  bundle 11 for 1:02, 4 done, SILENT"));
  EXPECT_TRUE(shows(status_page("out", view, 80, 24), "node-0  bundle 10 for 1:02, 4 done, heard"));
  view.seconds_since_update = 30;  // then nobody writes the status any more
  EXPECT_TRUE(
      shows(status_page("out", view, 80, 24), "node-0  bundle 10 for 1:02, 4 done, SILENT"));
}

TEST(StatusPage, ShowsFailedBundlesAndWarnings) {
  auto view = sample_view(1);
  view.troubles[BundleId{7}] = {1, false, "no memory"};
  view.troubles[BundleId{9}] = {3, true, "NaN"};
  for (int n = 0; n < 8; ++n) view.warnings.push_back("warning " + std::to_string(n));
  const auto page = status_page("out", view, 80, 24);
  EXPECT_TRUE(shows(page, "bundle 7 to be tried again, 1 failed attempt: no memory"));
  EXPECT_TRUE(shows(page, "bundle 9 set aside, 3 failed attempts: NaN"));
  EXPECT_TRUE(shows(page, "warning 7"));
  EXPECT_FALSE(shows(page, "warning 2"));
}

TEST(StatusPage, FitsAnyWindow) {
  auto view = sample_view(64);
  view.status["ranks"][50] = rank(50, 100);
  view.troubles[BundleId{7}] = {1, false, std::string(300, 'r')};
  view.warnings.push_back("é\x1b[31mred\xff\t" + std::string(300, 'w'));
  for (const std::size_t columns : {1u, 7u, 40u, 200u})
    for (const std::size_t lines : {1u, 3u, 9u, 20u, 100u}) {
      const auto page = status_page("out", view, columns, lines);
      EXPECT_LE(page.size(), lines);
      for (const std::string& line : page) {
        EXPECT_EQ(utf8::first_ill_formed(line), std::string_view::npos);
        EXPECT_LE(
            std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }),
            static_cast<std::ptrdiff_t>(columns));
        EXPECT_TRUE(std::all_of(line.begin(), line.end(),
                                [](char c) { return static_cast<unsigned char>(c) >= 0x20; }));
      }
    }
  const auto page = status_page("out", view, 200, 20);
  EXPECT_EQ(page.size(), 20u);
  EXPECT_TRUE(shows(page, "  50   node-50")) << joined(page);
  EXPECT_TRUE(shows(page, "more ranks"));
}

TEST(StatusPage, ASweepWithoutRowsToComputeIsDone) {
  StatusView view;
  view.status = {{"state", "finished"}, {"rows_total", 3}, {"rows_refused", 3}};
  EXPECT_TRUE(shows(status_page("out", view, 80, 24), "100 %"));
  EXPECT_EQ(status_line(view), "finished: 0 of 3 rows done, 0 left, 3 refused, 0 failed");
}

}  // namespace
}  // namespace rvsweep
