"""Several models side by side: the same arms, with layers as shares of depth."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.outcomes import Outcome, all_outcomes
from rvsweep.data.results import Results
from rvsweep.data.settings import model_name
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.outcome_table import ArmLine, OutcomeTable, outcome_table
from rvsweep.stats.prompt_geometry import PromptGeometry, prompt_geometry
from rvsweep.stats.resampling import Bootstrap


@dataclass(frozen=True)
class Side:
    """One file of a comparison under a name that no other has."""

    name: str
    results: Results
    geometry: PromptGeometry
    tables: dict[str, OutcomeTable]  # by outcome


@dataclass(frozen=True)
class MatchedArm:
    """The same arm in several files: `lines` by file, None where a file has none like it."""

    label: str  # as in the first file that has it
    lines: list[ArmLine | None]

    @property
    def size(self) -> float:
        """Mean over files of the size of the difference."""
        return float(np.mean([abs(line.paired.difference.value) for line in self.lines if line]))

    @property
    def patched(self) -> bool:
        return any(line and line.arm.patched for line in self.lines)


@dataclass(frozen=True)
class OutcomeComparison:
    outcome: Outcome
    arms: list[MatchedArm]

    def largest(self, most: int) -> "OutcomeComparison":
        """The patched arms that differ most, the largest first."""
        patched = [arm for arm in self.arms if arm.patched]
        return OutcomeComparison(self.outcome, sorted(patched, key=lambda arm: -arm.size)[:most])


def sides(files: list[Results], bootstrap: Bootstrap, margin: Margin) -> list[Side]:
    """One for each file, in their order."""
    found = []
    for name, results in zip(_names(files), files, strict=True):
        tables = {o.name: outcome_table(results, o, bootstrap, margin) for o in all_outcomes(results)}
        found.append(Side(name, results, prompt_geometry(results, bootstrap), tables))
    return found


def compare_outcomes(compared: list[Side]) -> list[OutcomeComparison]:
    """Every outcome that at least two files have, with the arms that at least two of them have."""
    found = []
    outcomes = {name: table.outcome for side in compared for name, table in side.tables.items()}
    for name, outcome in outcomes.items():
        tables = [side.tables.get(name) for side in compared]
        if sum(table is not None for table in tables) < 2:
            continue
        arms = _matched(tables, [side.results.n_layers for side in compared])
        if arms:
            found.append(OutcomeComparison(outcome, arms))
    return found


def same_arm(first: Arm, layers_first: int, second: Arm, layers_second: int) -> bool:
    """Equal settings, and layer ranges of each patch whose ends, as shares of depth, differ by less than one layer."""
    if first.without(*first.layer_keys) != second.without(*second.layer_keys):
        return False
    if [len(ranges) for ranges in first.ranges_by_patch] != [len(ranges) for ranges in second.ranges_by_patch]:
        return False
    apart = np.abs(_ends(first, layers_first) - _ends(second, layers_second))
    return bool((apart < 1 / min(layers_first, layers_second)).all())


def _ends(arm: Arm, layers: int) -> np.ndarray:
    """Of the layer ranges of all patches, one after another, as shares of depth."""
    return np.array([end for ranges in arm.ranges_by_patch for span in ranges for end in span]) / layers


def _matched(tables: list[OutcomeTable | None], layers: list[int]) -> list[MatchedArm]:
    """Each arm of a file goes with the nearest one of every later file."""
    lines = [[] if table is None else [line for line in table.lines if line.paired] for table in tables]
    found = []
    for at in range(len(lines)):
        for line in lines[at]:
            row: list[ArmLine | None] = [None] * at + [line]
            for other in range(at + 1, len(lines)):
                near = [c for c in lines[other] if same_arm(line.arm, layers[at], c.arm, layers[other])]
                near.sort(key=lambda c: _distance(line.arm, layers[at], c.arm, layers[other]))
                row.append(near[0] if near else None)
                if near:
                    lines[other].remove(near[0])
            if sum(entry is not None for entry in row) >= 2:
                found.append(MatchedArm(line.arm.label, row))
    return found


def _distance(first: Arm, layers_first: int, second: Arm, layers_second: int) -> float:
    return float(np.abs(_ends(first, layers_first) - _ends(second, layers_second)).sum())


def _names(files: list[Results]) -> list[str]:
    """The models' names where they are distinct, else the files' paths as far as they differ, without a name they share."""
    models = [(model_name(f) or "").rstrip("/").split("/")[-1] for f in files]
    if all(models) and len(set(models)) == len(files):
        return models
    paths = [f.path.absolute().parts for f in files]
    if len({path[-1] for path in paths}) == 1:
        paths = [path[:-1] for path in paths]
    for parts in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-parts:]) for path in paths]
        if len(set(names)) == len(files):
            return names
    return [f"{n}: {f.path}" for n, f in enumerate(files, 1)]
