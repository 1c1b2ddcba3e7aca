"""R_V of the prompts over several windows: whether source less base depends on how many tokens are measured."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.results import Results
from rvsweep.data.settings import study_config
from rvsweep.stats.pair_means import natural_log
from rvsweep.stats.paired import PairedDifference, paired_difference
from rvsweep.stats.resampling import Bootstrap

KINDS = {"r_v": "raw", "r_v_centred": "centred", "r_v_corrected": "corrected"}


@dataclass(frozen=True)
class WindowLine:
    """ln R_V, source less base, of the last `window` tokens."""

    window: int
    kinds: dict[str, PairedDifference]  # raw, centred, corrected


def window_lines(results: Results, bootstrap: Bootstrap) -> list[WindowLine]:
    """From the shortest window to the longest; empty where the sweep measured one alone."""
    pr = results.prompts.get("window_pr")  # [P, windows, L, kinds]
    words = (study_config(results).last("model.window") or "").split(",")
    windows = [int(word) for word in words if word.strip().isdecimal()]
    if pr is None or pr.shape[1:] != (len(windows), results.n_layers, len(KINDS)):
        return []
    logs = natural_log(pr[:, :, results.late_layer]) - natural_log(pr[:, :, results.early_layer])
    source, base = (logs[results.pairs[role]] for role in ("source", "base"))

    def line(at: int) -> WindowLine:
        sides = ((source[:, at, kind], base[:, at, kind]) for kind in range(len(KINDS)))
        found = [paired_difference(*side, results.clusters, bootstrap) for side in sides]
        return WindowLine(windows[at], dict(zip(KINDS.values(), found, strict=True)))

    lines = [line(at) for at in np.argsort(windows)]
    return [line for line in lines if line.kinds["raw"].n]


def by_window(lines: list[WindowLine]) -> dict[str, PairedDifference]:
    """Every one under a name such as "raw of 16"."""
    return {f"{kind} of {line.window}": one for line in lines for kind, one in line.kinds.items()}


def disagreement(of_kinds: dict[str, PairedDifference]) -> str:
    """What each ln R_V says of source less base, where they do not all say the same."""
    said = {kind: _verdict(paired) for kind, paired in of_kinds.items()}
    if len(set(said.values())) < 2:
        return ""
    return ", ".join(f"{kind}: {verdict}" for kind, verdict in said.items())


def _verdict(paired: PairedDifference) -> str:
    found = paired.difference
    return "source above base" if found.low > 0 else "source below base" if found.high < 0 else "undecided"
