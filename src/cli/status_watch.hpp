#pragma once
// `rvsweep status --watch`: the sweep's status again and again until no run holds the folder.
#include <filesystem>

namespace rvsweep {

/// On a terminal a page that is drawn again in place every second, as wide and high as the window;
/// elsewhere a line every ten seconds, or with `json` one object every second. Returns how the
/// sweep ended: 0, 3 with failed rows, 75 where it stopped early, 1 where it died; 130 where a
/// signal ended the watching.
int watch_status(const std::filesystem::path& folder, bool json);

}  // namespace rvsweep
