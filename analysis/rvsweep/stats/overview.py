"""The primary outcome at a glance: every patched arm with the control that tells most about it."""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.clusters import Clusters
from rvsweep.stats.control_copies import mean_of_copies
from rvsweep.stats.outcome_table import ArmLine, ControlLine, OutcomeTable
from rvsweep.stats.paired import Estimate
from rvsweep.stats.resampling import Bootstrap

# Another prompt's state tells most about content, the procedure alone least; reverse and full_swap are no baselines.
CONTROLS = (
    "other_base", "other_source", "same_length", "filler", "last_row", "random_layers", "gaussian", "shuffled", "mean",
    "zero", "wrong_band", "self",
)  # fmt: skip


@dataclass(frozen=True)
class Control:
    """A control of an arm: its own difference to its recipient, and the arm less the control."""

    effect: Estimate
    line: ControlLine


@dataclass(frozen=True)
class ArmEffect:
    line: ArmLine  # with a paired difference
    control: Control | None


@dataclass(frozen=True)
class Overview:
    """`effects`: patched arms that could be compared, in file order; never empty. `largest` is one of them."""

    table: OutcomeTable
    effects: list[ArmEffect]
    largest: ArmEffect


def overview(table: OutcomeTable, clusters: Clusters, bootstrap: Bootstrap) -> Overview | None:
    """None where no patched arm can be compared with its recipient."""
    lines = [line for line in table.lines if line.arm.patched and line.paired]
    if not lines:
        return None
    chosen = {line.arm.index: found for line in lines if (found := _control_of(line.arm, table.controls))}
    controls = {}
    for index, found in chosen.items():
        own = table.differences[:, [copy.index for copy in found.copies]]
        controls[index] = Control(mean_of_copies(own, found.copies[0], clusters, bootstrap)[1], found)
    effects = [ArmEffect(line, controls.get(line.arm.index)) for line in lines]
    largest = max(effects, key=lambda effect: abs(effect.line.paired.difference.value))
    return Overview(table, effects, largest)


def _control_of(arm: Arm, lines: list[ControlLine]) -> ControlLine | None:
    """The first of CONTROLS that the arm has."""

    def place(line: ControlLine) -> float:
        return next((at for at, name in enumerate(CONTROLS) if line.name.startswith(name)), np.inf)

    own = [line for line in lines if line.arm.index == arm.index and np.isfinite(place(line))]
    return min(own, key=place, default=None)
