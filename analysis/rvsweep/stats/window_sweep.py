"""R_V raw, centred and corrected over one or several windows: does what is found depend on how V is measured?"""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.clusters import Clusters
from rvsweep.data.results import Results
from rvsweep.data.settings import measured_windows
from rvsweep.data.spectra import PR_KINDS, row_window_pr
from rvsweep.stats.pair_means import natural_log, per_pair_means
from rvsweep.stats.paired import Estimate, column_means
from rvsweep.stats.resampling import Bootstrap

KINDS = dict(
    zip(("", "_centred", "_corrected"), PR_KINDS, strict=True)
)  # ending of r_v in the file -> its name


@dataclass(frozen=True)
class WindowLine:
    """Mean difference in ln R_V of `window` tokens over pairs, by kind."""

    window: int
    kinds: dict[str, Estimate]

    @property
    def said(self) -> str:
        return disagreement(self.kinds) or _verdict(self.kinds["raw"])


@dataclass(frozen=True)
class ArmWindows:
    """An arm less its recipient, from the shortest window to the longest; `lines` is never empty."""

    arm: Arm
    lines: list[WindowLine]

    @property
    def disagreement(self) -> str:
        return disagreement(by_window(self.lines))


def by_window(lines: list[WindowLine]) -> dict[str, Estimate]:
    """Every estimate under its kind, or of several windows under a name such as "raw of 16"."""
    several = len(lines) > 1
    return {
        f"{kind} of {line.window}" if several else kind: one
        for line in lines
        for kind, one in line.kinds.items()
    }


def disagreement(of_kinds: dict[str, Estimate]) -> str:
    """What the interval of each says, where they do not all say the same."""
    said = {kind: _verdict(found) for kind, found in of_kinds.items() if found.n}
    if len(set(said.values())) < 2:
        return ""
    return ", ".join(f"{kind} {verdict}" for kind, verdict in said.items())


def _verdict(found: Estimate) -> str:
    return "above 0" if found.low > 0 else "below 0" if found.high < 0 else "undecided"


def prompt_windows(results: Results, bootstrap: Bootstrap) -> list[WindowLine]:
    """Source less base prompts; empty where the sweep measured one window alone."""
    pr = results.prompts.get("window_pr")
    if pr is None or pr.shape[2] != results.n_layers:
        return []
    logs, windows = _logs_of_windows(results, pr[:, :, [results.early_layer, results.late_layer]])
    if logs is None:
        return []
    source, base = (logs[results.pairs[role]] for role in ("source", "base"))
    return _lines(source - base, windows, results.clusters, bootstrap)


def row_windows(results: Results, span: str, bootstrap: Bootstrap) -> list[ArmWindows]:
    """Of the prompt or the generated window of each arm but controls; empty where the file has the raw R_V alone."""
    logs, windows = _logs_of_windows(results, row_window_pr(results, span))
    if logs is None:
        logs, windows = _logs_of_rows(results, span), [results.window]
    if not np.isfinite(logs[..., 1:]).any():
        return []
    by_pair = per_pair_means(results, logs)
    found = []
    for arm in results.arms:
        recipient = results.recipient_of(arm)
        if recipient is None or arm is recipient or arm.control:
            continue
        differences = by_pair[:, arm.index] - by_pair[:, recipient.index]
        lines = _lines(differences, windows, results.clusters, bootstrap)
        if lines:
            found.append(ArmWindows(arm, lines))
    return found


def _logs_of_windows(results: Results, pr: np.ndarray | None) -> tuple[np.ndarray | None, list[int]]:
    """ln R_V [.., windows, kinds] of PR [.., windows, early and late, kinds], and the windows' lengths.

    None where the configuration names another number of windows.
    """
    windows = measured_windows(results)
    if pr is None or pr.shape[1:] != (len(windows), 2, len(KINDS)):
        return None, windows
    logs = natural_log(pr.astype(np.float64))
    return logs[:, :, 1] - logs[:, :, 0], windows


def _logs_of_rows(results: Results, span: str) -> np.ndarray:
    """ln R_V [R, 1, kinds] of the sweep's own window."""
    nothing = np.full(len(results.ok), np.nan)
    columns = [natural_log(results.rows.get(f"r_v_{span}{ending}", nothing)) for ending in KINDS]
    return np.stack(columns, axis=-1)[:, None]


def _lines(
    differences: np.ndarray, windows: list[int], clusters: Clusters, bootstrap: Bootstrap
) -> list[WindowLine]:
    """Of [N, windows, kinds]; windows without a raw value are left out."""
    means = column_means(differences.reshape(len(differences), -1), clusters, bootstrap)
    by_kind = (means[at : at + len(KINDS)] for at in range(0, len(means), len(KINDS)))
    lines = [
        WindowLine(window, dict(zip(KINDS.values(), of_window, strict=True)))
        for window, of_window in zip(windows, by_kind, strict=True)
    ]
    return sorted((line for line in lines if line.kinds["raw"].n), key=lambda line: line.window)
