"""Arms that differ in one setting: where in depth (layer bands) and at which tokens (positions)."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.clusters import Clusters
from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.outcome_table import ArmLine, OutcomeTable
from rvsweep.stats.resampling import Bootstrap

FEWEST_ARMS = 3
_ORDER = ("all", "first", "last", "span", "bos", "not_bos", "keywords")


@dataclass(frozen=True)
class Scan:
    """`common`: the settings that its arms share. p_max: p adjusted for all arms of the scan jointly, NaN where there is no test."""

    setting: str  # layers or positions
    common: str
    lines: list[ArmLine]
    p_max: list[float]

    @property
    def bounded_transfer(self) -> bool:
        """Whether every arm has a transfer with a finite interval."""
        return all(line.transfer is not None and line.transfer.bounded for line in self.lines)


def scans(table: OutcomeTable, setting: str, clusters: Clusters, bootstrap: Bootstrap) -> list[Scan]:
    """Every set of at least FEWEST_ARMS patched arms that differ in `setting` alone, controls left out.

    Bands are ordered by width and start, positions by their kind and number.
    """
    grouped: dict[tuple, list[ArmLine]] = {}
    for line in table.lines:
        if line.paired is None or not line.arm.patched or setting not in line.arm.settings:
            continue
        if setting == "layers" and line.arm.band is None:
            continue
        grouped.setdefault(line.arm.without(setting), []).append(line)
    found = []
    for common, lines in grouped.items():
        if len({line.arm.settings[setting] for line in lines}) < FEWEST_ARMS:
            continue
        lines.sort(key=lambda line: _sort_key(line.arm, setting))
        differences = table.differences[:, [line.arm.index for line in lines]]
        untested = np.full(len(lines), np.nan)
        p = untested if table.outcome.bounded else max_statistic(differences, clusters, bootstrap).p
        found.append(Scan(setting, _text(common), lines, p.tolist()))
    return found


def _sort_key(arm: Arm, setting: str) -> tuple:
    if setting == "layers":
        start, end = arm.band
        return (end - start, start)
    kind, *numbers = arm.settings["positions"].split(":")
    order = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    return (order, *(int(n) if n.isdigit() else np.inf for n in numbers))


def _text(common: tuple[str, ...]) -> str:
    """Settings that are not the documented default."""
    usual = {
        "entry=hold_last", "growth=append", "align=rerotate", "what=kv", "positions=all", "heads=all",
        "alpha=1", "direction=source_to_base",
    }  # fmt: skip
    return " ".join(word for word in common if word not in usual)
